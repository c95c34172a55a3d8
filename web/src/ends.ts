// Where each method ended, in numbers: what the map and the chart of heights show, to be read out or copied.

import { h, say, shown } from "./dom";
import type { Page, Sight } from "./page";

const HEADS = ["method", "last step", "x", "y", "f", "to the nearest minimum"];

export class Ends {
  private readonly heads = HEADS.map((text) => h("th", { scope: "col" }, text));
  private readonly rows = h("tbody");
  private readonly region = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Where each method ended" },
    h("table", {}, h("thead", {}, h("tr", {}, ...this.heads)), this.rows));
  readonly element = h("details", { class: "ends" }, h("summary", {}, "Where each method ended, in numbers"), this.region);

  constructor(private readonly page: Page, private readonly sight: Sight) {
    sight.follow(this.region);
    this.element.addEventListener("toggle", () => this.settle());
  }

  fill(): void {
    if (this.sight.has(this.region)) this.settle();
  }

  /** Bring the numbers up to the state, in sight or not; a closed table has none. */
  settle(): void {
    if (!this.element.open) return;
    const { names, problem, runs } = this.page;
    problem.names.forEach((n, k) => say(this.heads[2 + k], n));
    while (this.rows.rows.length > names.length) this.rows.deleteRow(-1);
    while (this.rows.rows.length < names.length)
      this.rows.append(h("tr", {}, h("th", { scope: "row" }), ...HEADS.slice(1).map(() => h("td"))));
    runs.forEach(({ path, loss, end, died }, k) => {
      const [x, y] = [path[2 * end], path[2 * end + 1]];
      const far = Math.min(...problem.minima.map(([u, v]) => Math.hypot(x - u, y - v)));
      const cells = [names[k], died ? `${end}, then it diverged` : String(end), shown(x), shown(y), shown(loss[end]), problem.minima.length ? shown(far) : "none is known"];
      cells.forEach((text, j) => say(this.rows.rows[k].cells[j], text));
    });
  }
}

// Small multiples: one map a method, all from the same start; a click puts the method in focus.

import { h, say } from "./dom";
import { fitted, sized } from "./look";
import type { Map2 } from "./map";
import type { Page, Sight } from "./page";
import { type Box, diamond, into, strokeRun } from "./paths";

export class Minis {
  private readonly back = h("canvas", { "aria-hidden": "true" });
  private readonly front = h("canvas", { "aria-hidden": "true" });
  private readonly buttons: HTMLButtonElement[] = [];
  private boxes: Box[] = [];
  private drawn = ""; // what the ground was drawn for
  readonly element = h("div", { class: "minis", role: "group", "aria-label": "One map a method; choose one to put it in focus" }, this.back, this.front);

  constructor(private readonly page: Page, private readonly sight: Sight, private readonly map: Map2) {
    sight.watch(this.front, () => (this.boxes = []));
  }

  /** Buttons for the methods that are there; `ground` where the landscape was drawn anew. */
  fill(ground: boolean): void {
    const { names, state } = this.page;
    while (this.buttons.length > names.length) this.buttons.pop()!.remove();
    while (this.buttons.length < names.length) {
      const k = this.buttons.length;
      const made = h("button", { type: "button", class: "mini", onclick: () => this.page.change({ focus: k }) }, h("span"));
      this.buttons.push(made);
      this.element.append(made);
    }
    this.buttons.forEach((b, k) => {
      say(b.firstElementChild!, names[k]);
      b.setAttribute("aria-pressed", String(k === state.focus));
    });
    if (this.boxes.length !== names.length) this.boxes = [];
    if (ground) this.drawn = "";
  }

  draw(): void {
    if (!this.sight.has(this.front)) return;
    if (!this.boxes.length)
      this.boxes = this.buttons.map((b) => ({ x: b.offsetLeft + 1, y: b.offsetTop + 1, width: b.clientWidth, height: b.clientWidth }));
    this.drawGround();
    const { runs, styles, state, window: seen, look, ghosts } = this.page;
    const { c } = fitted(this.front);
    c.lineJoin = "round";
    this.boxes.forEach((box, k) => {
      const at = into(box, seen);
      c.save();
      c.beginPath();
      c.rect(box.x, box.y, box.width, box.height);
      c.clip();
      c.lineWidth = 1.6;
      if (ghosts[k]) strokeRun(c, ghosts[k], at, { colour: look.ghost, dash: [] }, box, 3);
      strokeRun(c, runs[k], at, { ...styles[k], dash: [] }, box, 4);
      const t = Math.min(state.step, runs[k].end);
      diamond(c, at(runs[k].path[2 * t], runs[k].path[2 * t + 1]), 5, styles[k].colour, look.panel);
      c.restore();
    });
  }

  /** The big map's ground, small, once for each. */
  private drawGround(): void {
    const key = `${sized(this.front)} ${this.boxes.map((b) => [b.x, b.y, b.width])} ${this.page.look.dark}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const { c } = fitted(this.back);
    for (const { x, y, width, height } of this.boxes) this.map.copyGround(c, x, y, width, height);
  }
}

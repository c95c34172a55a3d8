// The method in focus: its values, the numbers of one step, and a curve of what happened by step.

import { type Curve, draw, type Level } from "./chart";
import { h, label, offer, say, set, shown } from "./dom";
import { PARTS, parts, predicted } from "./frozen";
import type { Page, Sight } from "./page";
import { steepness } from "./sentence";
import { curvesOf, valueNames } from "./state";

const CAPTIONS: Record<string, string> = {
  rate: "Effective rate: what multiplies the gradient, or its average",
  eps: "Share of ε in the rate's denominator; 1 is a step of plain gradient descent",
  update: "Size of the step",
  gradient: "Size of the gradient before the step",
};
const NAMES: Record<string, string> = {
  rate: "Effective rate",
  margin: "Rate × curvature, and its limit",
  predicted: "What theory predicts a step to leave",
  eps: "Share of ε",
  split: "The step's parts: gradient, memory, scaling",
  update: "Size of the step",
  gradient: "Size of the gradient",
};
const ROWS: Record<string, string> = { w: "where it is", g: "gradient before the step", _rate: "effective rate" };
const DASHES = [[], [5, 3], [1.5, 2.5]];

function curveName(n: string): string {
  return NAMES[n] ?? `State ${n.replace("state-", "")}`;
}

export class Detail {
  readonly title = h("h2");
  readonly values = h("div", { class: "values" });
  readonly table: HTMLElement;
  readonly figure: HTMLElement;
  private readonly curve = h("select");
  private readonly chart = h("canvas", { role: "img", class: "chart" });
  private readonly caption = h("figcaption");
  private readonly cells = h("tbody");
  private shownValues = "";

  constructor(private readonly page: Page, private readonly sight: Sight) {
    this.table = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Numbers of this step" },
      h("table", {}, h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col", class: "n0" }, "x"), h("th", { scope: "col", class: "n1" }, "y"))), this.cells));
    this.figure = h("figure", {}, label("By step", this.curve), this.chart, this.caption);
    this.curve.addEventListener("change", () => page.change({ curve: this.curve.value }));
    sight.watch(this.chart);
    sight.follow(this.values);
    sight.follow(this.table);
  }

  fill(): void {
    const { names, state } = this.page;
    say(this.title, names[state.focus]);
    if (this.sight.has(this.values)) this.fillValues();
    if (this.sight.has(this.table)) this.fillCells();
  }

  settle(): void {
    const { names, state } = this.page;
    this.fillValues();
    this.fillCells();
    this.chart.setAttribute("aria-label", `${curveName(this.curve.value)} of ${names[state.focus]} by step`);
  }

  /** The chart: what `state.curve` names, for both coordinates where it has two. */
  draw(): void {
    const { data, state, told, runs, styles, look, limit, problem } = this.page;
    const method = state.methods[state.focus];
    const known = curvesOf(data, method);
    const chosen = known.includes(state.curve) ? state.curve : known[0];
    offer(this.curve, known, chosen, curveName);
    if (!this.sight.has(this.chart)) return;
    const run = runs[state.focus];
    const { colour } = styles[state.focus];
    const place = (n: string) => told.values[told.places.indexOf(n)];
    const curve = (at: (t: number) => number, k: number, text: string): Curve => ({
      at, first: chosen.startsWith("state-") ? 0 : 1, last: told.end, colour, dash: DASHES[k], width: 2, label: text, cross: false,
    });
    const once = (at: (t: number) => number) => {
      const values = Float64Array.from({ length: told.end + 1 }, (_, t) => at(t));
      return (t: number) => values[t];
    };
    const show = (curves: Curve[], right: number, text: string, level: Level | null = null) => {
      draw(this.chart, look, curves, state.steps, state.step, right, level);
      say(this.caption, text);
    };
    const pair = (at: (k: number) => (t: number) => number, text: string) =>
      show([0, 1].map((k) => curve(at(k), k, problem.names[k])), 36, `${text}. Solid along ${problem.names[0]}, dashed along ${problem.names[1]}.`);
    switch (chosen) {
      case "margin": {
        const bound = limit === null ? "No limit is known for these values." : `Above its limit, ${shown(limit)}, the steepest direction grows.`;
        return show([curve(once((t) => steepness(this.page.surface, run, told, t)), 0, "")], 12,
          `Effective rates times the steepest curvature, where it curves upwards. ${bound}`, limit === null ? null : { value: limit, text: "limit" });
      }
      case "predicted":
        return show([curve(once((t) => predicted(data, method, this.page.surface, run, told, t)), 0, "")], 12,
          "On the quadratic that fits f at each step, with the rates held as they were, a step leaves this share of the distance in the long run; above 1 it grows. No curve where the step has no such theory.", { value: 1, text: "neither" });
      case "split":
        return show(PARTS.map((n, p) => curve(once((t) => Math.hypot(...(parts(run, told, t)?.[p] ?? [NaN]))), p, n)), 60,
          "The step is the sum of three: the gradient's at the mean of both rates (solid), what memory of earlier gradients, and decay, add (dashed), what different rates add (dotted). On the map, arrows show them at the step.");
      case "eps":
        return pair((k) => (t) => told.share[2 * t + k], CAPTIONS.eps);
      case "update":
        return pair((k) => (t) => Math.abs(run.path[2 * t + k] - run.path[2 * t - 2 + k]), CAPTIONS.update);
      default: {
        const array = place(chosen === "rate" ? "_rate" : chosen === "gradient" ? "g" : chosen.replace("state-", ""));
        return pair((k) => (t) => Math.abs(array[2 * t + k]), CAPTIONS[chosen] ?? `Size of the state ${chosen.replace("state-", "")}`);
      }
    }
  }

  /** Inputs for every other value of the focused method; made anew only for another method. */
  private fillValues(): void {
    const { data, state } = this.page;
    const method = state.methods[state.focus];
    const names = valueNames(data, method);
    const key = `${state.focus} ${method.rule} ${method.dialect}`;
    if (key !== this.shownValues) {
      this.shownValues = key;
      const rule = data.rules[method.rule];
      this.values.replaceChildren(...names.map((n) => {
        const { text, unit } = rule.lines[n];
        const pinned = rule.dialects[method.dialect].pinned.includes(n) || n in method.schedules;
        const input = h("input", { type: "number", step: "any", disabled: pinned, oninput: () => {
          const good = this.page.setValue(this.page.state.focus, n, input.valueAsNumber);
          input.setAttribute("aria-invalid", String(!good));
        } });
        const start = rule.states.includes(n) ? `${n} at the start` : n;
        return h("label", { title: `${text}; unit ${unit}${pinned ? "; fixed here" : ""}` }, h("span", {}, start), input);
      }));
    }
    this.values.querySelectorAll("input").forEach((input, k) => {
      if (set(input, String(method.values[k]))) input.removeAttribute("aria-invalid");
    });
  }

  private fillCells(): void {
    const { told, state, problem, runs, data, surface, limit } = this.page;
    const t = Math.min(state.step, told.end);
    const run = runs[state.focus];
    const pairs: [string, number, number][] = told.places.map((n, j) =>
      [ROWS[n] ?? `state ${n}`, told.values[j][2 * t], told.values[j][2 * t + 1]]);
    if (t) {
      const split = parts(run, told, t);
      pairs.splice(2, 0,
        ["step", ...([0, 1].map((k) => run.path[2 * t + k] - run.path[2 * t - 2 + k]) as [number, number])],
        ...(split ? PARTS.map((n, p): [string, number, number] => [`of it by ${n}`, ...split[p]]) : []));
    }
    pairs.push(["share of ε in the rate's denominator", told.share[2 * t], told.share[2 * t + 1]]);
    const steep = steepness(surface, run, told, t);
    const rows: [string, string, string?][] = pairs.map(([n, a, b]) => [n, shown(a), shown(b)]);
    rows.push(["rate × steepest curvature", shown(steep) + (limit === null ? "" : ` (limit ${shown(limit)})`)]);
    rows.push(["predicted to leave a step", shown(predicted(data, state.methods[state.focus], surface, run, told, t))]);
    const shape = rows.map(([n]) => n).join();
    if (this.cells.dataset.of !== shape) {
      this.cells.dataset.of = shape;
      this.cells.replaceChildren(...rows.map(([n, ...cells]) => h("tr", {}, h("th", { scope: "row" }, n),
        ...cells.map(() => h("td", { colspan: 3 - cells.length })))));
    }
    rows.forEach(([, ...cells], k) => cells.forEach((text, j) => say(this.cells.rows[k].cells[j + 1], text!)));
    this.cells.parentElement!.querySelectorAll("thead th").forEach((th, k) => say(th, problem.names[k]));
  }
}

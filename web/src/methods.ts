// The list of methods: a row each, with its line, its rate and where it ended.

import { h, say, set, shown } from "./dom";
import type { Line } from "./look";
import type { Page } from "./page";
import { rateIndex } from "./state";

const SLIDER = 1000; // steps of a rate's slider
const DECADES: [number, number] = [-6, 2]; // that it spans

interface Row {
  element: HTMLLIElement;
  focus: HTMLButtonElement;
  swatch: HTMLCanvasElement;
  name: HTMLElement;
  slider: HTMLInputElement;
  number: HTMLInputElement;
  end: HTMLElement;
  remove: HTMLButtonElement;
}

export class MethodList {
  readonly element = h("ul", { class: "methods" });
  private readonly rows: Row[] = [];

  constructor(private readonly page: Page) {}

  fill(): void {
    const { state, data, names, runs, styles } = this.page;
    while (this.rows.length > state.methods.length) this.rows.pop()!.element.remove();
    while (this.rows.length < state.methods.length) this.add(this.rows.length);
    state.methods.forEach((m, k) => {
      const row = this.rows[k];
      const rate = rateIndex(data, m);
      say(row.name, names[k]);
      row.focus.setAttribute("aria-pressed", String(k === state.focus));
      row.element.classList.toggle("on", k === state.focus);
      row.slider.disabled = row.number.disabled = rate < 0;
      row.slider.setAttribute("aria-label", `Rate of ${names[k]}`);
      row.number.setAttribute("aria-label", `Rate of ${names[k]}, as a number`);
      row.slider.setAttribute("aria-valuetext", rate < 0 ? "no rate to move" : shown(m.values[rate]));
      if (rate >= 0) set(row.slider, String(toSlider(m.values[rate])));
      set(row.number, rate < 0 ? "" : String(m.values[rate]));
      row.number.placeholder = m.schedules.lr?.text ?? "";
      const run = runs[k];
      say(row.end, run.died ? `✕ diverged at ${run.end + 1}` : `f ${shown(run.loss[run.end])}`);
      row.end.classList.toggle("died", run.died);
      row.remove.setAttribute("aria-label", `Remove ${names[k]}`);
      swatch(row.swatch, styles[k]);
    });
  }

  private add(k: number): void {
    const { page } = this;
    const number = h("input", { type: "number", step: "any", oninput: () => page.setValue(k, "lr", number.valueAsNumber) });
    const slider = h("input", { type: "range", min: 0, max: SLIDER, step: 1,
      oninput: () => page.setValue(k, "lr", fromSlider(slider.valueAsNumber)) });
    const canvas = h("canvas", { "aria-hidden": "true" });
    const name = h("span");
    const focus = h("button", { type: "button", class: "name", onclick: () => page.change({ focus: k }) }, canvas, name);
    const end = h("span", { class: "end" });
    const remove = h("button", { type: "button", class: "remove", onclick: () => this.remove(k) }, "×");
    const element = h("li", {}, focus, slider, number, end, remove);
    this.element.append(element);
    this.rows.push({ element, focus, swatch: canvas, name, slider, number, end, remove });
  }

  private remove(k: number): void {
    const { state } = this.page;
    const methods = state.methods.filter((_, j) => j !== k);
    if (!methods.length) return this.page.tell("One method has to stay.");
    const focus = Math.min(state.focus > k ? state.focus - 1 : state.focus, methods.length - 1);
    this.page.change({ methods, focus });
    this.rows[Math.min(k, methods.length - 1)].focus.focus();
  }
}

function toSlider(rate: number): number {
  if (!(rate > 0)) return 0;
  return Math.round(((Math.log10(rate) - DECADES[0]) / (DECADES[1] - DECADES[0])) * SLIDER);
}

function fromSlider(place: number): number {
  return Number((10 ** (DECADES[0] + ((DECADES[1] - DECADES[0]) * place) / SLIDER)).toPrecision(3));
}

function swatch(canvas: HTMLCanvasElement, { colour, dash }: Line): void {
  if (canvas.dataset.look === colour + dash.join()) return;
  canvas.dataset.look = colour + dash.join();
  [canvas.width, canvas.height] = [52, 20];
  const c = canvas.getContext("2d")!;
  c.scale(2, 2);
  c.strokeStyle = colour;
  c.lineWidth = 2.6;
  c.setLineDash(dash);
  c.beginPath();
  c.moveTo(1, 5);
  c.lineTo(25, 5);
  c.stroke();
}

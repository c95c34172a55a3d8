// The strip on the page: which two values it goes over, filled while nothing else is to do.

import { button, h, label, offer, say, shown } from "./dom";
import type { Page, Sight } from "./page";
import { rateIndex, valueNames } from "./state";
import { best, CELLS, drawStrip, fill, newStrip, others, type Strip, valuesAt, valuesOf } from "./strip";

const WAIT = 200; // ms of rest before it is filled
const SLICE = 8; // ms of filling, then others have their turn

export class Sensitivity {
  strip: Strip | null = null;
  private of = ""; // what the strip stands for
  private filling = 0;
  private readonly beside = h("select");
  private readonly heat = h("canvas", { role: "img", class: "chart heat" });
  private readonly caption = h("figcaption");
  readonly element: HTMLElement;

  constructor(private readonly page: Page, private readonly sight: Sight) {
    this.element = h("figure", { class: "sensitivity" },
      h("h3", {}, "How sensitive it is"),
      h("div", { class: "add" }, label("Rate, and", this.beside, "wide"), button("Take the soonest", () => this.takeBest(), "The place of the star")),
      this.heat, this.caption);
    this.beside.addEventListener("change", () => page.change({ beside: this.beside.value }));
    sight.watch(this.heat);
    this.drag();
  }

  /** A mouse or a finger sets the rate and the other value; both have controls of their own. */
  private drag(): void {
    const move = (event: PointerEvent) => {
      const box = this.heat.getBoundingClientRect();
      const values = this.strip && valuesAt(this.heat, this.strip, event.clientX - box.left, event.clientY - box.top);
      if (values) this.setBoth(...values);
    };
    this.heat.addEventListener("pointerdown", (event) => {
      this.heat.setPointerCapture(event.pointerId);
      move(event);
      this.heat.addEventListener("pointermove", move);
      const done = () => this.heat.removeEventListener("pointermove", move);
      this.heat.addEventListener("pointerup", done, { once: true });
      this.heat.addEventListener("pointercancel", done, { once: true });
    });
  }

  private setBoth(rate: number, other: number): void {
    const { focus } = this.page.state;
    this.page.setValue(focus, this.strip!.y.name, other);
    this.page.setValue(focus, "lr", rate);
  }

  private takeBest(): void {
    const { strip } = this;
    const place = strip && strip.done === CELLS ? best(strip) : -1;
    if (!strip || place < 0) return this.page.tell("Nothing on the strip has come to the target and stayed.");
    this.setBoth(...valuesOf(strip, place));
  }

  /** Draw the strip as far as it is known; begin anew where it stands for something else. */
  draw(): void {
    const { data, state, window: seen, names, look } = this.page;
    const method = state.methods[state.focus];
    const rate = rateIndex(data, method);
    const known = rate < 0 ? [] : others(data, method);
    this.element.hidden = !known.length;
    if (!known.length) return;
    const chosen = known.includes(state.beside) ? state.beside : known[0];
    offer(this.beside, known, chosen);
    const place = valueNames(data, method).indexOf(chosen);
    const fixed = method.values.filter((_, k) => k !== rate && k !== place);
    const key = [state.problem, seen, state.start, state.steps, method.rule, method.dialect, chosen, fixed].join(" ");
    if (key !== this.of || !this.strip) {
      this.of = key;
      this.strip = newStrip(data, method, chosen);
      clearTimeout(this.filling);
      this.filling = window.setTimeout(() => this.fill(), WAIT);
    }
    say(this.caption, `The darker, the sooner a thousandth of the start's height is reached for good, of ${state.steps} steps; white: never; hatched: diverged. ★ is the soonest, the ring is where ${names[state.focus]} is; drag it.`);
    if (this.sight.has(this.heat)) drawStrip(this.heat, look, this.strip, state.steps, method.values[rate], method.values[place]);
  }

  /** Fill the strip piece by piece, giving way to whatever else there is to do. */
  private fill(): void {
    const { strip } = this;
    const { data, state, surface, floor } = this.page;
    if (!strip || strip.done === CELLS || this.element.hidden) return;
    fill(data, strip, state.methods[state.focus], surface, state.start, state.steps, floor, SLICE);
    this.draw();
    if (strip.done === CELLS) this.settle();
    if (strip === this.strip) this.filling = window.setTimeout(() => this.fill(), 0);
  }

  settle(): void {
    const { names, state } = this.page;
    const { strip } = this;
    const place = strip && strip.done === CELLS ? best(strip) : -1;
    const [rate, other] = strip && place >= 0 ? valuesOf(strip, place) : [];
    const soonest = rate === undefined ? "" : `; the soonest, ${strip!.steps[place]} steps, at rate ${shown(rate)} and ${this.beside.value} ${shown(other!)}`;
    this.heat.setAttribute("aria-label", `Steps to the target of ${names[state.focus]} over its rate and ${this.beside.value}${soonest}`);
  }
}

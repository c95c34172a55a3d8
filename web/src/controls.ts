// Controls above and below the map: landscape, start, steps, window, step.

import { button, h, label, say, set } from "./dom";
import { MOST_STEPS } from "./engine";
import type { Page } from "./page";
import { QUESTIONS } from "./questions";
import { fromHash } from "./state";

/** What the controls ask for beyond a change of the state. */
export interface Asked {
  /** Another landscape of the page's. */
  landscape(name: string): void;
  /** A typed function. */
  typed(text: string): void;
  /** A question's address. */
  address(hash: string): void;
}

export class Controls {
  private readonly select = h("select");
  private readonly formula = h("input", { type: "text", spellcheck: "false", autocomplete: "off", maxlength: 4000, placeholder: "x**2 + 10*y**2 + sin(3*x)" });
  private readonly starts = [h("input", { type: "number", step: "any" }), h("input", { type: "number", step: "any" })];
  private readonly corners = Array.from({ length: 4 }, () => h("input", { type: "number", step: "any" }));
  private readonly steps = h("input", { type: "number", min: 1, max: MOST_STEPS, step: 1 });
  private readonly scrub = h("input", { type: "range", min: 0, step: 1 });
  private readonly at = h("input", { type: "number", min: 0, step: 1 });
  readonly top: HTMLElement;
  readonly view: HTMLElement;
  readonly questions: HTMLElement;
  readonly scrubber: HTMLElement;

  constructor(private readonly page: Page, private readonly asked: Asked) {
    for (const [n, p] of Object.entries(page.data.problems)) this.select.append(h("option", { value: n }, p.title));
    this.select.append(h("option", { value: "=" }, "Your own function…"));
    this.top = h("div", { class: "controls" },
      label("Landscape", this.select, "wide"),
      label("f(x, y) =", this.formula, "wide typed"),
      ...this.starts.map((input) => label("Start", input)),
      label("Steps", this.steps));
    this.view = h("details", { class: "view" }, h("summary", {}, "Window"),
      h("div", { class: "controls" }, ...this.corners.map((input) => label("Window", input))));
    this.questions = this.asking();
    const [back, on] = [button("‹", () => this.step(-1), "One step back ([)"), button("›", () => this.step(1), "One step on (])")];
    back.setAttribute("aria-label", "One step back");
    on.setAttribute("aria-label", "One step on");
    this.scrubber = h("div", { class: "scrub" }, back, label("Step", this.scrub, "wide"), label("Step number", this.at, "hush"), on);
    this.listen();
  }

  /** The questions whose landscape and methods this page has; each is an address of it. */
  private asking(): HTMLElement {
    const { data, state } = this.page;
    const known = QUESTIONS.filter(({ hash }) => !fromHash(data, hash, state).problems.length);
    const items = known.map(({ text, hash, look }) => {
      const link = h("a", { href: `#${hash}`, onclick: (event) => {
        event.preventDefault(); // a page within a page would leave for its parent's address
        this.asked.address(hash);
      } }, text);
      return h("li", {}, link, h("p", {}, look));
    });
    return h("details", { class: "questions", hidden: !known.length }, h("summary", {}, "Questions to answer by looking"), h("ol", {}, ...items));
  }

  private listen(): void {
    const { page, asked } = this;
    this.select.addEventListener("change", () => {
      if (this.select.value === "=") asked.typed(this.formula.value || this.formula.placeholder);
      else asked.landscape(this.select.value);
    });
    this.formula.addEventListener("change", () => asked.typed(this.formula.value));
    this.starts.forEach((input, k) => input.addEventListener("input", () => {
      const start: [number, number] = [...page.state.start];
      start[k] = input.valueAsNumber;
      if (Number.isFinite(start[k])) page.change({ start });
    }));
    this.corners.forEach((input) => input.addEventListener("change", () => {
      const [a, b, c, d] = this.corners.map((i) => i.valueAsNumber);
      if (a < b && c < d && [a, b, c, d].every(Number.isFinite)) page.change({ window: [[a, b], [c, d]] }, true);
      else page.tell("The window needs numbers, each low one below its high one.");
    }));
    this.steps.addEventListener("input", () => {
      const steps = this.steps.valueAsNumber;
      if (Number.isInteger(steps) && steps >= 1 && steps <= MOST_STEPS)
        page.change({ steps, step: Math.min(page.state.step, steps) });
    });
    for (const input of [this.scrub, this.at])
      input.addEventListener("input", () => {
        const step = input.valueAsNumber;
        if (Number.isInteger(step) && step >= 0 && step <= page.state.steps) page.change({ step });
      });
  }

  /** Move the step on by so many. */
  step(by: number): void {
    const { step, steps } = this.page.state;
    this.page.change({ step: Math.max(0, Math.min(steps, step + by)) });
  }

  fill(): void {
    const { state, problem, window: seen } = this.page;
    const { surface, names } = problem;
    const typed = surface.kind === "typed" && names.join() === "x,y" ? surface.expression : null;
    set(this.select, state.problem.startsWith("=") ? "=" : state.problem);
    if (typed !== null) set(this.formula, typed);
    else if (document.activeElement !== this.formula) this.formula.value = "";
    this.starts.forEach((input, k) => {
      set(input, String(state.start[k]));
      say(input.previousElementSibling!, `Start ${names[k]}`);
    });
    this.corners.forEach((input, k) => say(input.previousElementSibling!, `${names[k >> 1]} ${k & 1 ? "to" : "from"}`));
    seen.flat().forEach((v, k) => set(this.corners[k], String(v)));
    set(this.steps, String(state.steps));
    this.scrub.max = this.at.max = String(state.steps);
    set(this.scrub, String(state.step));
    set(this.at, String(state.step));
  }
}

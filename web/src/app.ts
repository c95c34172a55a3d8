// The page: state in the middle, controls and pictures around it. Every change is drawn in the next frame.

import { draw } from "./chart";
import { labels, program, table } from "./code";
import { h, save, say, shown } from "./dom";
import { type Account, account, advance, MOST_STEPS, newRun, type Run } from "./engine";
import { ExpressionError } from "./expression";
import { type Line, lines, resized, sized, type Theme, theme } from "./look";
import { Map2, type Window } from "./map";
import { QUESTIONS } from "./questions";
import { parting, sentence, steepness } from "./sentence";
import {
  curvesOf, fromHash, isAllowed, MOST_METHODS, newMethod, rateIndex, type State, toHash, valueNames,
} from "./state";
import { best, CELLS, drawStrip, fill, newStrip, others, type Strip, valuesAt, valuesOf } from "./strip";
import { type Surface, surfaceOf } from "./surface";
import { tuned } from "./tune";
import type { Data, Problem } from "./types";

const IDLE = 200; // ms after the last change until the address and the live sentence follow
const SVG_SIZE = 560;
const SLICE = 8; // ms of filling the strip, then others have their turn
const FIRST_STEP = 20; // shown at first: after the turmoil of a start
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
}

export class App {
  state: State;
  surface!: Surface;
  problem!: Problem;
  readonly runs: Run[] = Array.from({ length: MOST_METHODS }, newRun);
  told!: Account;
  /** Milliseconds that the last frames took us, newest last. */
  readonly timings: number[] = [];
  private look: Theme = theme();
  private styles: Line[] = [];
  private frame = 0;
  private idle = 0;
  private openName = ""; // of the problem that is open
  private ground = true;
  private tuning = false; // rates of open methods are chosen in the next frame
  private linked = false;
  private readonly first: State;

  private readonly map: Map2;
  private readonly back = h("canvas", { "aria-hidden": "true" });
  private readonly front = h("canvas", { role: "img" });
  private readonly handle = h("div", { class: "handle", tabindex: 0, role: "slider", "aria-roledescription": "point in the plane" });
  private readonly loss = h("canvas", { role: "img", class: "chart" });
  private readonly curve = h("select");
  private readonly rates = h("canvas", { role: "img", class: "chart" });
  private readonly beside = h("select");
  private readonly heat = h("canvas", { role: "img", class: "chart heat" });
  private readonly heatCaption = h("figcaption");
  private readonly sensitivity = h("figure", { class: "sensitivity" });
  private strip: Strip | null = null;
  private stripOf = "";
  private filling = 0;
  private readonly rateCaption = h("figcaption");
  private readonly lossCaption = h("figcaption");
  private readonly said = h("p", { class: "said", role: "status" });
  private readonly notice = h("p", { class: "notice", role: "alert", hidden: true });
  private readonly select = h("select");
  private readonly formula = h("input", { type: "text", spellcheck: "false", autocomplete: "off", maxlength: 4000, placeholder: "x**2 + 10*y**2 + sin(3*x)" });
  private readonly about = h("p", { class: "about" });
  private readonly starts = [h("input", { type: "number", step: "any" }), h("input", { type: "number", step: "any" })];
  private readonly corners = Array.from({ length: 4 }, () => h("input", { type: "number", step: "any" }));
  private readonly steps = h("input", { type: "number", min: 1, max: MOST_STEPS, step: 1 });
  private readonly scrub = h("input", { type: "range", min: 0, step: 1 });
  private readonly at = h("input", { type: "number", min: 0, step: 1 });
  private readonly list = h("ul", { class: "methods" });
  private readonly rows: Row[] = [];
  private readonly more = h("select");
  private readonly focused = h("h2");
  private readonly values = h("div", { class: "values" });
  private readonly cells = h("tbody");
  private readonly code = h("pre", { tabindex: 0 });
  private readonly coded = h("details", { class: "coded" }, h("summary", {}, "Python that repeats these paths"), this.code);
  private readonly copied = h("span", { class: "copied", role: "status" });

  constructor(
    private readonly data: Data,
    root: HTMLElement,
  ) {
    this.map = new Map2(this.back, this.front);
    this.first = this.given();
    this.state = this.first;
    this.build(root);
    document.body.classList.toggle("embedded", window.self !== window.top);
    this.listen();
    this.read(location.hash, this.first);
  }

  /** What the page was made to show. */
  private given(): State {
    const { data } = this;
    const methods = data.methods.map((m) => ({ ...m, values: [...m.values] }));
    return {
      problem: data.problem,
      window: null,
      start: data.start ?? data.problems[data.problem].starts[0],
      steps: data.steps,
      methods,
      focus: Math.max(0, methods.findIndex((m) => m.rule === "Adam")),
      step: Math.min(data.steps, FIRST_STEP),
      curve: "rate",
      beside: "eps",
    };
  }

  // Making the page.

  private build(root: HTMLElement): void {
    const label = (text: string, control: HTMLElement, kind = "") => h("label", { class: kind }, h("span", {}, text), control);
    const button = (text: string, act: () => void, title = "") => h("button", { type: "button", onclick: act, title }, text);
    for (const [n, p] of Object.entries(this.data.problems)) this.select.append(h("option", { value: n }, p.title));
    this.select.append(h("option", { value: "=" }, "Your own function…"));
    for (const [name, rule] of Object.entries(this.data.rules)) {
      const group = h("optgroup", { label: name });
      for (const d of Object.keys(rule.dialects)) group.append(h("option", { value: d ? `${name}:${d}` : name }, d ? `${name}, ${d}` : name));
      this.more.append(group);
    }
    const top = h("div", { class: "controls" },
      label("Landscape", this.select, "wide"),
      label("f(x, y) =", this.formula, "wide typed"),
      ...this.starts.map((input) => label("Start", input)),
      label("Steps", this.steps),
    );
    const view = h("details", { class: "view" }, h("summary", {}, "Window"),
      h("div", { class: "controls" }, ...this.corners.map((input) => label("Window", input))));
    const share = h("div", { class: "actions" },
      button("Copy link", () => this.copy(location.href.split("#")[0] + toHash(this.data, this.state), "Link copied")),
      button("Copy Python", () => this.copy(this.python(), "Python copied"), "A program that prints these very paths"),
      button("CSV", () => save("paths.csv", "text/csv", this.csv())),
      button("PNG", () => this.png()),
      button("SVG", () => save("paths.svg", "image/svg+xml", this.svg())),
      button("Reset", () => this.reset(), "Back to what the page was made with (R)"),
      this.copied,
    );
    const plot = h("figure", { class: "map" },
      h("div", { class: "square" }, this.back, this.front, this.handle), this.about);
    const scrubber = h("div", { class: "scrub" },
      button("‹", () => this.change({ step: Math.max(0, this.state.step - 1) }), "One step back ([)"),
      label("Step", this.scrub, "wide"), label("Step number", this.at, "hush"),
      button("›", () => this.change({ step: Math.min(this.state.steps, this.state.step + 1) }), "One step on (])"));
    scrubber.querySelectorAll("button").forEach((b, k) => b.setAttribute("aria-label", k ? "One step on" : "One step back"));
    const link = h("input", { type: "checkbox", onchange: () => (this.linked = link.checked) });
    const methods = h("section", { "aria-labelledby": "methods" },
      h("h2", { id: "methods" }, "Methods"),
      label("Move all rates by the same factor", link, "check"),
      this.list,
      button("Best rates", () => this.best(), "For each method, of 57 rates the one that is at the bottom first and stays"),
      h("div", { class: "add" }, label("Another method", this.more, "wide"), button("Add", () => this.addMethod())));
    const detail = h("section", { class: "focused", "aria-live": "off" },
      this.focused, this.values,
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Numbers of this step" },
        h("table", {}, h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col", class: "n0" }, "x"), h("th", { scope: "col", class: "n1" }, "y"))), this.cells)),
      h("figure", {}, label("By step", this.curve), this.rates, this.rateCaption), this.sensitivity);
    this.sensitivity.append(
      h("h3", {}, "How sensitive it is"),
      h("div", { class: "add" }, label("Rate, and", this.beside, "wide"), button("Take the soonest", () => this.takeBest(), "The place of the star")),
      this.heat, this.heatCaption);
    const questions = h("details", { class: "questions" }, h("summary", {}, "Questions to answer by looking"),
      h("ol", {}, ...QUESTIONS.map(([text, hash]) => h("li", {}, h("a", { href: `#${hash}` }, text)))));
    root.replaceChildren(
      top, view, questions, share, this.notice,
      h("div", { class: "columns" },
        h("div", {}, plot, scrubber, this.said),
        h("div", {}, h("figure", {}, this.loss, this.lossCaption), methods)),
      detail, this.coded,
    );
  }

  private listen(): void {
    this.select.addEventListener("change", () => {
      const problem = this.select.value;
      if (problem === "=") return void this.type(this.formula.value || this.formula.placeholder);
      this.tuning = true;
      this.change({ problem, window: null, start: this.data.problems[problem].starts[0], step: 0 }, true);
    });
    this.formula.addEventListener("change", () => this.type(this.formula.value));
    this.starts.forEach((input, k) => input.addEventListener("input", () => {
      const start: [number, number] = [...this.state.start];
      start[k] = input.valueAsNumber;
      if (Number.isFinite(start[k])) this.change({ start });
    }));
    this.corners.forEach((input) => input.addEventListener("change", () => {
      const [a, b, c, d] = this.corners.map((i) => i.valueAsNumber);
      if (a < b && c < d && [a, b, c, d].every(Number.isFinite)) this.change({ window: [[a, b], [c, d]] }, true);
      else this.tell("The window needs numbers, each low one below its high one.");
    }));
    this.steps.addEventListener("input", () => {
      const steps = this.steps.valueAsNumber;
      if (Number.isInteger(steps) && steps >= 1 && steps <= MOST_STEPS)
        this.change({ steps, step: Math.min(this.state.step, steps) });
    });
    for (const input of [this.scrub, this.at])
      input.addEventListener("input", () => {
        const step = input.valueAsNumber;
        if (Number.isInteger(step) && step >= 0 && step <= this.state.steps) this.change({ step });
      });
    this.curve.addEventListener("change", () => this.change({ curve: this.curve.value }));
    this.beside.addEventListener("change", () => this.change({ beside: this.beside.value }));
    this.dragStrip();
    this.drag();
    this.coded.addEventListener("toggle", () => this.change({}));
    addEventListener("hashchange", () => this.read(location.hash, this.first));
    addEventListener("keydown", (event) => this.key(event));
    for (const canvas of [this.front, this.loss, this.rates, this.heat])
      new ResizeObserver(() => {
        resized(canvas);
        resized(this.back);
        this.change({}, canvas === this.front);
      }).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.look = theme();
      this.change({}, true);
    });
  }

  private drag(): void {
    const square = this.front.parentElement!;
    const move = (event: PointerEvent) => {
      const box = this.front.getBoundingClientRect();
      const inside = (v: number, size: number) => Math.max(0, Math.min(size, v));
      const [x, y] = this.map.toPoint(inside(event.clientX - box.left, box.width), inside(event.clientY - box.top, box.height));
      const [[x0, x1], [y0, y1]] = this.window;
      this.change({ start: [tidy(x, (x1 - x0) / 1e4), tidy(y, (y1 - y0) / 1e4)] });
    };
    square.addEventListener("pointerdown", (event) => {
      // A finger on the map scrolls the page; on the handle it drags, and a tap places the start.
      if (event.button !== 0 || (event.pointerType === "touch" && event.target !== this.handle)) return;
      event.preventDefault();
      square.setPointerCapture(event.pointerId);
      this.handle.focus({ preventScroll: true });
      move(event);
      square.addEventListener("pointermove", move);
      const done = () => square.removeEventListener("pointermove", move);
      square.addEventListener("pointerup", done, { once: true });
      square.addEventListener("pointercancel", done, { once: true });
    });
    square.addEventListener("click", (event) => {
      if ((event as PointerEvent).pointerType === "touch" && event.target !== this.handle) move(event as PointerEvent);
    });
    this.handle.addEventListener("keydown", (event) => {
      const [[x0, x1], [y0, y1]] = this.window;
      const share = event.shiftKey ? 0.1 : 0.01;
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
      const [x, y] = this.state.start;
      if (event.key === "Home") this.change({ start: this.problem.starts[0] });
      else if (dx || dy)
        this.change({ start: [
          tidy(Math.max(x0, Math.min(x1, x + dx * share * (x1 - x0))), (x1 - x0) / 1e4),
          tidy(Math.max(y0, Math.min(y1, y + dy * share * (y1 - y0))), (y1 - y0) / 1e4),
        ] });
      else return;
      event.preventDefault();
    });
  }

  /** The strip's own handle: a mouse or a finger sets the rate and the other value; both have controls of their own. */
  private dragStrip(): void {
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
    const { focus } = this.state;
    this.setValue(focus, this.strip!.y.name, other);
    this.setValue(focus, "lr", rate);
  }

  private takeBest(): void {
    const { strip } = this;
    const place = strip && strip.done === CELLS ? best(strip) : -1;
    if (!strip || place < 0) return this.tell("Nothing on the strip has come to the target and stayed.");
    this.setBoth(...valuesOf(strip, place));
  }

  private key(event: KeyboardEvent): void {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && target.type !== "range" && target.type !== "checkbox")) return;
    const { state } = this;
    if (event.key === "[") this.change({ step: Math.max(0, state.step - 1) });
    else if (event.key === "]") this.change({ step: Math.min(state.steps, state.step + 1) });
    else if (event.key === "r" || event.key === "R") this.reset();
    else if (/^[1-9]$/.test(event.key) && +event.key <= state.methods.length) this.change({ focus: +event.key - 1 });
  }

  // Changing what it shows.

  /** What the map shows. */
  get window(): Window {
    return this.state.window ?? this.problem.window;
  }

  /** Take over changes of the state; `ground` where the surface or its window is another. */
  change(changes: Partial<State>, ground = false): void {
    this.state = { ...this.state, ...changes };
    if ("problem" in changes) this.open();
    this.ground ||= ground;
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  private read(hash: string, from: State): void {
    const { state, problems } = fromHash(this.data, hash, { ...from, methods: from.methods.map((m) => ({ ...m, values: [...m.values] })) });
    this.tell(problems.length ? `Not understood in the address, and left as it was: ${problems.join("; ")}` : "");
    this.tuning = state.methods.some((m) => m.open);
    this.change(state, true);
  }

  private reset(): void {
    this.tell("");
    this.tuning = true;
    this.change({ ...this.given() }, true);
  }

  /** Take a typed function; where it is none, say why and keep what is there. */
  private type(text: string): void {
    this.tell("");
    const problem = `=${text.trim()}`;
    const known = this.problem.surface.kind === "typed";
    if (!this.opened(problem)) return;
    this.tuning = true;
    this.change({ problem, step: 0, ...(known ? { window: this.window } : { window: null, start: typedProblem("").starts[0] }) }, true);
  }

  /** The surface of a problem; null, with a notice, where a typed function is none. */
  private opened(name: string): { problem: Problem; surface: Surface } | null {
    const problem = name.startsWith("=") ? typedProblem(name.slice(1)) : this.data.problems[name];
    try {
      return { problem, surface: surfaceOf(problem) };
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.tell(`f(x, y), character ${error.at + 1}: ${error.message}. The picture is still that of the last function.`);
      return null;
    }
  }

  /** Open the state's problem; where it is none, the last one that was, or the first of the page. */
  private open(): void {
    const { data } = this;
    for (const name of [this.state.problem, this.openName, data.problem, ...Object.keys(data.problems)]) {
      const opened = name ? this.opened(name) : null;
      if (!opened) continue;
      if (name !== this.state.problem) {
        const start = name === this.openName ? this.state.start : opened.problem.starts[0];
        this.state = { ...this.state, problem: name, start };
      }
      this.openName = name;
      Object.assign(this, opened);
      return;
    }
  }

  private tell(text: string): void {
    this.notice.hidden = !text;
    this.notice.textContent = text;
  }

  private addMethod(): void {
    const [rule, dialect = ""] = this.more.value.split(/:(.*)/);
    if (this.state.methods.length >= MOST_METHODS) return this.tell(`${MOST_METHODS} methods are the most: remove one first.`);
    const method = newMethod(this.data, rule, dialect);
    const [rated] = tuned(this.data, { ...this.state, methods: [method] }, this.surface, this.problem, this.floor);
    this.change({ methods: [...this.state.methods, rated], focus: this.state.methods.length });
  }

  private removeMethod(k: number): void {
    const methods = this.state.methods.filter((_, j) => j !== k);
    const focus = Math.min(this.state.focus > k ? this.state.focus - 1 : this.state.focus, methods.length - 1);
    if (!methods.length) return this.tell("One method has to stay.");
    this.change({ methods, focus });
    this.rows[Math.min(k, methods.length - 1)].focus.focus();
  }

  /** Set one value of a method; a linked rate takes all others along. */
  private setValue(k: number, name: string, value: number): boolean {
    const { data, state } = this;
    if (!isAllowed(data, state.methods[k], name, value)) return false;
    const at = valueNames(data, state.methods[k]).indexOf(name);
    const factor = name === "lr" && this.linked ? value / state.methods[k].values[at] : 1;
    const methods = state.methods.map((m, j) => {
      const [own, rate] = [j === k, rateIndex(data, m)];
      if (!own && (factor === 1 || rate < 0 || !(factor > 0 && factor < Infinity))) return m;
      const values = [...m.values];
      if (own) values[at] = value;
      else values[rate] = Number((values[rate] * factor).toPrecision(4));
      return { ...m, values, open: m.open && name !== "lr" };
    });
    this.change({ methods });
    return true;
  }

  // Drawing.

  private draw(): void {
    const began = performance.now();
    this.frame = 0;
    const { data, state, surface } = this;
    if (!sized(this.front)[0]) return;
    this.styles = lines(data, state.methods, this.look.dark);
    if (this.ground) {
      this.map.show(surface, this.window, this.problem);
      this.map.drawGround(this.look, this.problem.names);
      this.ground = false;
    }
    if (this.tuning) {
      this.tuning = false;
      this.state = { ...state, methods: tuned(data, state, surface, this.problem, this.floor) };
      return this.draw();
    }
    state.methods.forEach((m, k) => advance(data, m, surface, state.start, state.steps, this.runs[k]));
    const focused = this.runs[state.focus];
    this.told = account(data, state.methods[state.focus], surface, state.start, focused.end);
    this.map.drawPaths(this.look, this.shownRuns, this.styles, state.focus, state.step);
    this.drawLoss();
    this.drawRates();
    this.drawStrip();
    this.fill();
    this.timings.push(performance.now() - began);
    if (this.timings.length > 500) this.timings.shift();
    clearTimeout(this.idle);
    this.idle = window.setTimeout(() => this.settle(), IDLE);
  }

  /** The lowest value known before anything has run. */
  private get floor(): number {
    return this.problem.minimum ?? this.map.lowest;
  }

  /** Choose all rates anew, those that were set by hand too. */
  private best(): void {
    this.tuning = true;
    this.change({ methods: this.state.methods.map((m) => ({ ...m, open: true })) });
  }

  /** The runs of the methods that are shown. */
  get shownRuns(): Run[] {
    return this.runs.slice(0, this.state.methods.length);
  }

  private drawLoss(): void {
    const { state, styles } = this;
    const floor = this.problem.minimum ?? Math.min(this.map.lowest, ...this.shownRuns.map((r) => lowest(r, this.window)));
    const names = labels(state.methods);
    const curves = this.shownRuns.map((run, k) => ({
      at: (t: number) => run.loss[t] - floor,
      first: 0,
      last: run.end,
      colour: styles[k].colour,
      dash: styles[k].dash,
      width: k === state.focus ? 2.4 : 1.5,
      label: names[k],
      cross: run.died,
    }));
    const focus = curves.splice(state.focus, 1);
    draw(this.loss, this.look, [...curves, ...focus], state.steps, state.step, sized(this.loss)[0] > 420 ? 120 : 12);
    const known = this.problem.minimum !== null;
    const what = floor === 0 ? "f" : floor > 0 ? `f − ${shown(floor)}` : `f + ${shown(-floor)}`;
    say(this.lossCaption, `${what}, its height above ${known ? "the minimum" : "the lowest value in the window"}, by step.`);
  }

  /** The second chart: what `state.curve` names, for both coordinates. */
  private drawRates(): void {
    const { told, state, styles, data } = this;
    const method = state.methods[state.focus];
    const known = curvesOf(data, method);
    const chosen = known.includes(state.curve) ? state.curve : known[0];
    if (this.curve.dataset.of !== known.join()) {
      this.curve.dataset.of = known.join();
      this.curve.replaceChildren(...known.map((n) => h("option", { value: n }, curveName(n))));
    }
    this.curve.value = chosen;
    const names = this.problem.names;
    const run = this.runs[state.focus];
    const place = (n: string) => told.values[told.places.indexOf(n)];
    const { colour } = styles[state.focus];
    const curve = (at: (t: number) => number, k: number, label: string) => ({
      at, first: chosen.startsWith("state-") ? 0 : 1, last: told.end, colour, dash: k ? [5, 3] : [], width: 2, label, cross: false,
    });
    if (chosen === "margin") {
      const steep = Float64Array.from({ length: told.end + 1 }, (_, t) => steepness(this.surface, run, told, t));
      const limit = this.limit();
      draw(this.rates, this.look, [curve((t) => steep[t], 0, "")], state.steps, state.step, 12, limit);
      const bound = limit === null ? "No limit is known for these values." : `Above its limit, ${shown(limit)}, the steepest direction grows.`;
      say(this.rateCaption, `Effective rates times the steepest curvature, where it curves upwards. ${bound}`);
      return;
    }
    const of: Record<string, (k: number) => (t: number) => number> = {
      eps: (k) => (t) => told.share[2 * t + k],
      update: (k) => (t) => Math.abs(run.path[2 * t + k] - run.path[2 * t - 2 + k]),
    };
    const array = place(chosen === "rate" ? "_rate" : chosen === "gradient" ? "g" : chosen.replace("state-", ""));
    const at = of[chosen] ?? ((k: number) => (t: number) => Math.abs(array[2 * t + k]));
    draw(this.rates, this.look, [0, 1].map((k) => curve(at(k), k, names[k])), state.steps, state.step, 36);
    say(this.rateCaption, `${CURVES[chosen] ?? `Size of the state ${chosen.replace("state-", "")}`}. Solid along ${names[0]}, dashed along ${names[1]}.`);
  }

  /** The strip as far as it is known; what it stands for has changed where `stripOf` has. */
  private drawStrip(): void {
    const { data, state } = this;
    const method = state.methods[state.focus];
    const rate = rateIndex(data, method);
    const known = rate < 0 ? [] : others(data, method);
    this.sensitivity.hidden = !known.length;
    if (!known.length) return;
    const chosen = known.includes(state.beside) ? state.beside : known[0];
    if (this.beside.dataset.of !== known.join()) {
      this.beside.dataset.of = known.join();
      this.beside.replaceChildren(...known.map((n) => h("option", { value: n }, n)));
    }
    this.beside.value = chosen;
    const names = valueNames(data, method);
    const place = names.indexOf(chosen);
    const fixed = method.values.filter((_, k) => k !== rate && k !== place);
    const key = [state.problem, this.window, state.start, state.steps, method.rule, method.dialect, chosen, fixed].join(" ");
    if (key !== this.stripOf || !this.strip) {
      this.stripOf = key;
      this.strip = newStrip(data, method, chosen);
      clearTimeout(this.filling);
      this.filling = window.setTimeout(() => this.fillStrip(), IDLE);
    }
    drawStrip(this.heat, this.look, this.strip, state.steps, method.values[rate], method.values[place]);
    say(this.heatCaption, `The darker, the sooner a thousandth of the start's height is reached for good, of ${state.steps} steps; white: never; hatched: diverged. ★ is the soonest, the ring is where ${labels(state.methods)[state.focus]} is; drag it.`);
  }

  /** Fill the strip piece by piece, giving way to whatever else there is to do. */
  private fillStrip(): void {
    const { strip, data, state } = this;
    if (!strip || strip.done === CELLS || this.sensitivity.hidden) return;
    fill(data, strip, state.methods[state.focus], this.surface, state.start, state.steps, this.floor, SLICE);
    if (!this.frame) this.drawStrip();
    if (strip === this.strip) this.filling = window.setTimeout(() => this.fillStrip(), 0);
  }

  /** Bring words, numbers and controls up to the state. */
  private fill(): void {
    const { state, data } = this;
    const [x, y] = this.map.toPixels(...state.start);
    const inside = (v: number, size: number) => Math.max(0, Math.min(size, v));
    const [width, height] = sized(this.front);
    this.handle.style.transform = `translate(${inside(x, width)}px, ${inside(y, height)}px)`;
    const { surface, names: coordinates } = this.problem;
    const typed = surface.kind === "typed" && coordinates.join() === "x,y" ? surface.expression : null;
    set(this.select, state.problem.startsWith("=") ? "=" : state.problem);
    if (typed !== null) set(this.formula, typed);
    else if (document.activeElement !== this.formula) this.formula.value = "";
    this.starts.forEach((input, k) => {
      set(input, String(state.start[k]));
      say(input.previousElementSibling!, `Start ${this.problem.names[k]}`);
    });
    this.corners.forEach((input, k) => {
      say(input.previousElementSibling!, `${this.problem.names[k >> 1]} ${k & 1 ? "to" : "from"}`);
    });
    this.window.flat().forEach((v, k) => set(this.corners[k], String(v)));
    set(this.steps, String(state.steps));
    this.scrub.max = this.at.max = String(state.steps);
    set(this.scrub, String(state.step));
    set(this.at, String(state.step));
    this.fillMethods();
    const names = labels(state.methods);
    say(this.focused, names[state.focus]);
    this.fillValues();
    this.fillCells();
    const limit = this.limit();
    const text = [
      sentence(names[state.focus], this.problem.names, this.surface, this.runs[state.focus], this.told, state.step, limit),
      parting(state.methods, this.runs, names, state.focus),
    ].join(" ").trim();
    if (this.said.textContent !== text) {
      this.said.setAttribute("aria-live", "off"); // while things move; `settle` reads it out
      this.said.textContent = text;
    }
    if (this.coded.open) say(this.code, program(data, state, this.surface));
  }

  /** The limit of rate times curvature, where the method has the values that it is known for. */
  private limit(): number | null {
    const method = this.state.methods[this.state.focus];
    const dialect = this.data.rules[method.rule].dialects[method.dialect];
    const rate = rateIndex(this.data, method);
    const same = method.values.every((v, k) => k === rate || v === dialect.values[k]);
    return same && !Object.keys(method.schedules).length ? dialect.limit : null;
  }

  private fillMethods(): void {
    const { state, data } = this;
    while (this.rows.length > state.methods.length) this.rows.pop()!.element.remove();
    while (this.rows.length < state.methods.length) this.addRow(this.rows.length);
    const names = labels(state.methods);
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
      const run = this.runs[k];
      say(row.end, run.died ? `✕ diverged at ${run.end + 1}` : `f ${shown(run.loss[run.end])}`);
      row.end.classList.toggle("died", run.died);
      row.element.querySelector(".remove")!.setAttribute("aria-label", `Remove ${names[k]}`);
      swatch(row.swatch, this.styles[k]);
    });
  }

  private addRow(k: number): void {
    const number = h("input", { type: "number", step: "any", oninput: () => this.setValue(k, "lr", number.valueAsNumber) });
    const slider = h("input", { type: "range", min: 0, max: SLIDER, step: 1,
      oninput: () => this.setValue(k, "lr", fromSlider(slider.valueAsNumber)) });
    const canvas = h("canvas", { "aria-hidden": "true" });
    const name = h("span");
    const focus = h("button", { type: "button", class: "name", onclick: () => this.change({ focus: k }) }, canvas, name);
    const end = h("span", { class: "end" });
    const remove = h("button", { type: "button", class: "remove", onclick: () => this.removeMethod(k) }, "×");
    const element = h("li", {}, focus, slider, number, end, remove);
    this.list.append(element);
    this.rows.push({ element, focus, swatch: canvas, name, slider, number, end });
  }

  private shownValues = "";

  /** Inputs for every other value of the focused method; made anew only for another method. */
  private fillValues(): void {
    const { data, state } = this;
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
          const good = this.setValue(this.state.focus, n, input.valueAsNumber);
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
    const { told, state, problem } = this;
    const t = Math.min(state.step, told.end);
    const run = this.runs[state.focus];
    const words: Record<string, string> = { w: "where it is", g: "gradient before the step", _rate: "effective rate" };
    const pairs: [string, number, number][] = told.places.map((n, j) =>
      [words[n] ?? `state ${n}`, told.values[j][2 * t], told.values[j][2 * t + 1]]);
    if (t) pairs.splice(2, 0, ["update", ...([0, 1].map((k) => run.path[2 * t + k] - run.path[2 * t - 2 + k]) as [number, number])]);
    pairs.push(["share of ε in the rate's denominator", told.share[2 * t], told.share[2 * t + 1]]);
    const steep = steepness(this.surface, run, told, t);
    const limit = this.limit();
    const rows: [string, string, string?][] = pairs.map(([n, a, b]) => [n, shown(a), shown(b)]);
    rows.push(["rate × steepest curvature", shown(steep) + (limit === null ? "" : ` (limit ${shown(limit)})`)]);
    const shape = rows.map(([n]) => n).join();
    if (this.cells.dataset.of !== shape) {
      this.cells.dataset.of = shape;
      this.cells.replaceChildren(...rows.map(([n, ...cells]) => h("tr", {}, h("th", { scope: "row" }, n),
        ...cells.map(() => h("td", { colspan: 3 - cells.length })))));
    }
    rows.forEach(([, ...cells], k) => cells.forEach((text, j) => say(this.cells.rows[k].cells[j + 1], text!)));
    this.cells.parentElement!.querySelectorAll("thead th").forEach((th, k) => say(th, problem.names[k]));
  }

  /** What follows once things have come to rest: the address, names for screen readers. */
  private settle(): void {
    const { state, problem } = this;
    const hash = toHash(this.data, state);
    if (hash !== location.hash)
      try {
        history.replaceState(null, "", hash);
      } catch {
        // a page inside another has no address of its own
      }
    this.said.setAttribute("aria-live", "polite");
    const [x, y] = state.start;
    const [[x0, x1]] = this.window;
    const [nx, ny] = problem.names;
    for (const [n, value] of Object.entries({
      "aria-label": "Start", "aria-valuemin": x0, "aria-valuemax": x1, "aria-valuenow": x, "aria-valuetext": `${nx} ${shown(x)}, ${ny} ${shown(y)}`,
    })) this.handle.setAttribute(n, String(value));
    const ends = labels(state.methods).map((n, k) => `${n} ${this.runs[k].died ? `diverged at step ${this.runs[k].end + 1}` : `f ${shown(this.runs[k].loss[this.runs[k].end])}`}`);
    this.front.setAttribute("aria-label", `Map of ${problem.title} with the paths of ${labels(state.methods).join(", ")}`);
    this.loss.setAttribute("aria-label", `Height by step; at the end ${ends.join(", ")}`);
    this.rates.setAttribute("aria-label", `${curveName(this.curve.value)} of ${labels(state.methods)[state.focus]} by step`);
    this.heat.setAttribute("aria-label", `Steps to the target of ${labels(state.methods)[state.focus]} over its rate and ${this.beside.value}`);
    this.about.textContent = `${problem.title}. ${problem.text}`;
    document.title = `${problem.title} · thalweg explore`;
  }

  // Taking it away.

  python(): string {
    return program(this.data, this.state, this.surface);
  }

  csv(): string {
    return table(this.state.methods, this.shownRuns, this.problem.names);
  }

  private copy(text: string, done: string): void {
    const say = (words: string) => (this.copied.textContent = words);
    navigator.clipboard?.writeText(text).then(() => say(done), () => say("The browser does not allow copying here"));
    if (!navigator.clipboard) say("The browser does not allow copying here");
    if (done.startsWith("Python")) {
      this.coded.open = true;
      this.code.textContent = text;
    }
  }

  svg(): string {
    const { state, look, styles, problem } = this;
    return this.map.svg(SVG_SIZE, look, this.shownRuns, styles, labels(state.methods), state.focus, problem.title);
  }

  private png(): void {
    const { width, height } = this.front;
    const canvas = h("canvas", { width, height });
    const c = canvas.getContext("2d")!;
    c.drawImage(this.back, 0, 0);
    c.drawImage(this.front, 0, 0);
    canvas.toBlob((blob) => blob && save("paths.png", "image/png", blob));
  }
}

const CURVES: Record<string, string> = {
  rate: "Effective rate: what multiplies the gradient, or its average",
  eps: "Share of ε in the rate's denominator; 1 is a step of plain gradient descent",
  update: "Size of the step",
  gradient: "Size of the gradient before the step",
};

function curveName(n: string): string {
  const words: Record<string, string> = { rate: "Effective rate", margin: "Rate × curvature, and its limit", eps: "Share of ε", update: "Size of the step", gradient: "Size of the gradient" };
  return words[n] ?? `State ${n.replace("state-", "")}`;
}

/** A typed function as a problem. */
function typedProblem(expression: string): Problem {
  return {
    title: expression || "Your own function",
    text: "A function that was typed here; its derivatives are taken symbolically.",
    names: ["x", "y"],
    window: [[-5, 5], [-5, 5]],
    starts: [[-4, 3]],
    minima: [],
    minimum: null,
    surface: { kind: "typed", expression },
  };
}

/** The lowest value of a run within a window. */
function lowest({ path, loss, end }: Run, [[x0, x1], [y0, y1]]: Window): number {
  let least = Infinity;
  for (let t = 0; t <= end; t++) {
    const [x, y] = [path[2 * t], path[2 * t + 1]];
    if (loss[t] < least && x >= x0 && x <= x1 && y >= y0 && y <= y1) least = loss[t];
  }
  return least;
}

/** A number on a grid of decimals about this fine, so that it reads well and travels in an address. */
function tidy(value: number, fine: number): number {
  const digits = Math.max(0, Math.min(20, Math.ceil(-Math.log10(fine))));
  return Number(value.toFixed(digits)) + 0;
}

function toSlider(rate: number): number {
  if (!(rate > 0)) return 0;
  return Math.round(((Math.log10(rate) - DECADES[0]) / (DECADES[1] - DECADES[0])) * SLIDER);
}

function fromSlider(place: number): number {
  return Number((10 ** (DECADES[0] + ((DECADES[1] - DECADES[0]) * place) / SLIDER)).toPrecision(3));
}

/** Set a control's value unless the user is in it; whether it was set. */
function set(control: HTMLInputElement | HTMLSelectElement, value: string): boolean {
  const typing = control === document.activeElement && control instanceof HTMLInputElement && control.type !== "range";
  if (typing || control.value === value) return false;
  control.value = value;
  return true;
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

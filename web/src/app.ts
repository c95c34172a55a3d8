// The page: state in the middle, controls and pictures around it. Every change is drawn in the next frame.

import { draw } from "./chart";
import { labels } from "./code";
import { Controls } from "./controls";
import { Detail } from "./detail";
import { button, h, label, say, shown } from "./dom";
import { Ends } from "./ends";
import { type Account, account, advance, newRun, type Run } from "./engine";
import { ExpressionError } from "./expression";
import { limitOf } from "./frozen";
import { Handle } from "./handle";
import { Help } from "./help";
import { type Line, lines, resized, sized, type Theme, theme, THIN } from "./look";
import { Map2 } from "./map";
import { MethodList } from "./methods";
import { Minis } from "./minis";
import { type Page, Sight } from "./page";
import { parting, sentence } from "./sentence";
import { Sensitivity } from "./sensitivity";
import { Share } from "./share";
import { fromHash, isAllowed, MOST_METHODS, newMethod, rateIndex, type State, toHash, valueNames } from "./state";
import type { Strip } from "./strip";
import { type Surface, surfaceOf } from "./surface";
import { tuned } from "./tune";
import type { Data, Problem, Window } from "./types";

const IDLE = 200; // ms after the last change until the address and the live sentence follow
const READ = 80; // ms that words and numbers stand at least while things move: nobody reads faster, and each change lays the page out
const SVG_SIZE = 560;
const HIGHEST = 1e3; // of the start's height: what diverges leaves the chart there
const FIRST_STEP = 20; // shown at first: after the turmoil of a start

export class App implements Page {
  state: State;
  surface!: Surface;
  problem!: Problem;
  told!: Account;
  look: Theme = theme();
  styles: Line[] = [];
  names: string[] = [];
  ghosts: Run[] = [];
  limit: number | null = null;
  /** Milliseconds that the last frames took us, newest last. */
  readonly timings: number[] = [];
  private readonly every: Run[] = Array.from({ length: MOST_METHODS }, newRun);
  private readonly first: State;
  private frame = 0;
  private idle = 0;
  private filled = -Infinity; // when words and numbers were those of the state
  private stale = false; // whether they are older than the picture
  private openName = ""; // of the problem that is open
  private ground = true;
  private tuning = false; // rates of open methods are chosen in the next frame
  private linked = false;
  private ghostsOf: State["pin"] | undefined; // what `ghosts` are the runs of
  private limitOf = "";

  private readonly sight = new Sight(this);
  private readonly back = h("canvas", { "aria-hidden": "true" });
  private readonly front = h("canvas", { role: "img" });
  private readonly loss = h("canvas", { role: "img", class: "chart" });
  private readonly map = new Map2(this.back, this.front);
  private readonly handle = new Handle(this, this.map, this.front);
  private readonly minis = new Minis(this, this.sight, this.map);
  private readonly list = new MethodList(this);
  private readonly detail = new Detail(this, this.sight);
  private readonly ends = new Ends(this, this.sight);
  private readonly help = new Help();
  private readonly sensitivity = new Sensitivity(this, this.sight);
  private readonly share: Share;
  private readonly controls: Controls;
  private readonly pin = button("Pin", () => this.pinned(), "Keep the present paths in grey to compare with (P)");
  private readonly lossCaption = h("figcaption");
  private readonly said = h("p", { class: "said", role: "status" });
  private readonly notice = h("p", { class: "notice", role: "alert", hidden: true });
  private readonly about = h("p", { class: "about" });
  private readonly more = h("select");

  constructor(readonly data: Data, root: HTMLElement) {
    this.first = this.given();
    this.state = this.first;
    this.controls = new Controls(this, {
      landscape: (problem) => {
        this.tuning = true;
        this.change({ problem, window: null, start: data.problems[problem].starts[0], step: 0, pin: null }, true);
      },
      typed: (text) => this.type(text),
      address: (hash) => this.read(hash, this.first),
    });
    const svg = () => this.svg();
    this.share = new Share(this, svg, () => this.map.picture(), this.pin, button("Reset", () => this.reset(), "Back to what the page was made with (R)"), this.help.button);
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
      pin: null,
    };
  }

  private build(root: HTMLElement): void {
    const { controls, detail, share } = this;
    for (const [name, rule] of Object.entries(this.data.rules)) {
      const forms = Object.keys(rule.dialects).map((d) => h("option", { value: d ? `${name}:${d}` : name }, d ? `${name}, ${d}` : name));
      this.more.append(h("optgroup", { label: name }, ...forms));
    }
    const square = h("div", { class: "square" }, this.back, this.front, this.handle.element);
    this.handle.listen(square);
    const link = h("input", { type: "checkbox", onchange: () => (this.linked = link.checked) });
    const methods = h("section", { "aria-labelledby": "methods" },
      h("h2", { id: "methods" }, "Methods"),
      label("Move all rates by the same factor", link, "check"),
      this.list.element,
      button("Best rates", () => this.best(), "For each method, of 57 rates the one that is at the bottom first and stays"),
      h("div", { class: "add" }, label("Another method", this.more, "wide"), button("Add", () => this.addMethod())));
    root.replaceChildren(
      controls.top, h("div", { class: "folds" }, controls.view, controls.questions), share.actions, this.notice,
      h("div", { class: "columns" },
        h("div", {}, h("figure", { class: "map" }, square, this.about), controls.scrubber, this.said),
        h("div", {}, h("figure", {}, this.loss, this.lossCaption), methods)),
      this.minis.element,
      this.ends.element,
      h("section", { class: "focused", "aria-live": "off" }, detail.title, detail.values, detail.table, detail.figure, this.sensitivity.element),
      share.coded,
      this.help.element,
    );
  }

  private listen(): void {
    addEventListener("hashchange", () => this.read(location.hash, this.first));
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("beforeprint", () => this.sight.whole(() => {
      this.draw();
      this.fill();
    }));
    this.sight.watch(this.loss);
    this.sight.watch(this.front, () => {
      resized(this.back);
      this.ground = true;
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.look = theme();
      this.change({}, true);
    });
  }

  private key(event: KeyboardEvent): void {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || this.help.element.open) return;
    if (target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && target.type !== "range" && target.type !== "checkbox")) return;
    if (key === "[") this.controls.step(-1);
    else if (key === "]") this.controls.step(1);
    else if (key === "r" || key === "R") this.reset();
    else if (key === "?") this.help.open();
    else if (key === "p" || key === "P") this.pinned();
    else if (/^[1-9]$/.test(key) && +key <= this.state.methods.length) this.change({ focus: +key - 1 });
  }

  // Changing what it shows.

  get window(): Window {
    return this.state.window ?? this.problem.window;
  }

  get floor(): number {
    return this.problem.minimum ?? this.map.lowest;
  }

  get runs(): Run[] {
    return this.every.slice(0, this.state.methods.length);
  }

  /** What tests and the curious read. */
  get strip(): Strip | null {
    return this.sensitivity.strip;
  }

  change(changes: Partial<State>, ground = false): void {
    this.state = { ...this.state, ...changes };
    if ("problem" in changes) this.open();
    this.ground ||= ground;
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  tell(text: string): void {
    this.notice.hidden = !text;
    this.notice.textContent = text;
  }

  /** Set one value of a method; a linked rate takes all others along. */
  setValue(k: number, name: string, value: number): boolean {
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

  private read(hash: string, from: State): void {
    const { state, problems } = fromHash(this.data, hash, { ...from, methods: from.methods.map((m) => ({ ...m, values: [...m.values] })) });
    this.tell(problems.length ? `Not understood in the address, and left as it was: ${problems.map((p) => (p.length > 60 ? `${p.slice(0, 60)}…` : p)).join("; ")}` : "");
    this.tuning = state.methods.some((m) => m.open);
    this.change(state, true);
  }

  private reset(): void {
    this.tell("");
    this.tuning = true;
    this.change({ ...this.given() }, true);
  }

  /** Keep the present paths in grey, or let those that are kept go. */
  private pinned(): void {
    const { start, steps, methods, pin } = this.state;
    this.change({ pin: pin ? null : { start, steps, methods } });
  }

  /** Take a typed function; where it is none, say why and keep what is there. */
  private type(text: string): void {
    this.tell("");
    const problem = `=${text.trim()}`;
    const known = this.problem.surface.kind === "typed";
    if (!this.opened(problem)) return;
    this.tuning = true;
    this.change({ problem, step: 0, pin: null, ...(known ? { window: this.window } : { window: null, start: typedProblem("").starts[0] }) }, true);
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
      this.ghostsOf = undefined;
      Object.assign(this, opened);
      return;
    }
  }

  private addMethod(): void {
    const [rule, dialect = ""] = this.more.value.split(/:(.*)/);
    if (this.state.methods.length >= MOST_METHODS) return this.tell(`${MOST_METHODS} methods are the most: remove one first.`);
    const method = newMethod(this.data, rule, dialect);
    const [rated] = tuned(this.data, { ...this.state, methods: [method] }, this.surface, this.problem, this.floor);
    this.change({ methods: [...this.state.methods, rated], focus: this.state.methods.length });
  }

  /** Choose all rates anew, those that were set by hand too. */
  private best(): void {
    this.tuning = true;
    this.change({ methods: this.state.methods.map((m) => ({ ...m, open: true })) });
  }

  // Drawing.

  private draw(): void {
    const began = performance.now();
    this.frame = 0;
    const { data, state, surface, ground } = this;
    if (!sized(this.front)[0]) return;
    this.styles = lines(data, state.methods, this.look.dark);
    this.names = labels(state.methods);
    if (ground) {
      this.map.show(surface, this.window, this.problem);
      this.map.drawGround(this.look, this.problem.names);
      this.ground = false;
    }
    this.minis.fill(ground);
    if (this.tuning) {
      this.tuning = false;
      this.state = { ...state, methods: tuned(data, state, surface, this.problem, this.floor) };
      return this.draw();
    }
    this.compute();
    if (this.sight.has(this.front)) this.map.drawPaths(this);
    this.drawLoss();
    this.minis.draw();
    this.detail.draw();
    this.sensitivity.draw();
    this.handle.fill();
    this.stale = true;
    if (began - this.filled >= READ) this.fill();
    this.timings.push(performance.now() - began);
    if (this.timings.length > 500) this.timings.shift();
    clearTimeout(this.idle);
    this.idle = window.setTimeout(() => this.settle(), IDLE);
  }

  /** Runs, what happened in the one in focus, its limit, and what is pinned. */
  private compute(): void {
    const { data, state, surface } = this;
    state.methods.forEach((m, k) => advance(data, m, surface, state.start, state.steps, this.every[k]));
    const method = state.methods[state.focus];
    this.told = account(data, method, surface, state.start, this.every[state.focus].end);
    const key = `${method.rule} ${method.dialect} ${method.values} ${Object.keys(method.schedules)}`;
    if (key !== this.limitOf) {
      this.limitOf = key;
      this.limit = limitOf(data, method);
    }
    if (state.pin === this.ghostsOf) return;
    this.ghostsOf = state.pin;
    this.ghosts = (state.pin?.methods ?? []).map((m) => {
      const run = newRun();
      advance(data, m, surface, state.pin!.start, state.pin!.steps, run);
      return run;
    });
  }

  private drawLoss(): void {
    const { state, styles, names, ghosts, runs } = this;
    if (!this.sight.has(this.loss)) return;
    const floor = this.problem.minimum ?? Math.min(this.map.lowest, ...[...runs, ...ghosts].map((r) => lowest(r, this.window)));
    const curve = (run: Run) => ({ at: (t: number) => run.loss[t] - floor, first: 0, last: Math.min(run.end, state.steps), cross: run.died });
    const grey = ghosts.map((run) => ({ ...curve(run), colour: this.look.ghost, dash: [], width: THIN, label: "" }));
    const curves = runs.map((run, k) => ({
      ...curve(run), colour: styles[k].colour, dash: styles[k].dash, width: k === state.focus ? 2.4 : THIN, label: names[k],
    }));
    const top = Math.max(...[...curves, ...grey].map(({ at }) => at(0)));
    const focus = curves.splice(state.focus, 1);
    draw(this.loss, this.look, [...grey, ...curves, ...focus], state.steps, state.step, sized(this.loss)[0] > 420 ? 120 : 12, null, top > 0 && top < Infinity ? HIGHEST * top : Infinity);
    const known = this.problem.minimum !== null;
    const what = floor === 0 ? "f" : floor > 0 ? `f − ${shown(floor)}` : `f + ${shown(-floor)}`;
    say(this.lossCaption, `${what}, its height above ${known ? "the minimum" : "the lowest value in the window"}, by step.`);
  }

  /** Bring words, numbers and controls up to the state. */
  private fill(): void {
    const { state, names, runs } = this;
    this.filled = performance.now();
    this.stale = false;
    this.controls.fill();
    this.list.fill();
    this.detail.fill();
    this.ends.fill();
    this.share.fill();
    this.pin.setAttribute("aria-pressed", String(state.pin !== null));
    const text = [
      sentence(names[state.focus], this.problem.names, this.surface, runs[state.focus], this.told, state.step, this.limit),
      parting(state.methods, runs, names, state.focus),
    ].join(" ").trim();
    if (this.said.textContent !== text) {
      this.said.setAttribute("aria-live", "off"); // while things move; `settle` reads it out
      this.said.textContent = text;
    }
  }

  /** What follows once things have come to rest: the last words, the address, names for screen readers. */
  private settle(): void {
    const { state, problem, names, runs } = this;
    if (this.stale) this.fill();
    const hash = toHash(this.data, state);
    if (hash !== location.hash)
      try {
        history.replaceState(null, "", hash);
      } catch {
        // a page inside another has no address of its own
      }
    this.said.setAttribute("aria-live", "polite");
    this.handle.settle();
    this.detail.settle();
    this.ends.settle();
    this.sensitivity.settle();
    const ends = names.map((n, k) => `${n} ${runs[k].died ? `diverged at step ${runs[k].end + 1}` : `f ${shown(runs[k].loss[runs[k].end])}`}`);
    this.front.setAttribute("aria-label", `Map of ${problem.title} with the paths of ${names.join(", ")}`);
    this.loss.setAttribute("aria-label", `Height by step; at the end ${ends.join(", ")}`);
    this.about.textContent = `${problem.title}. ${problem.text}`;
    document.title = `${problem.title} · thalweg explore`;
  }

  // Taking it away.

  python(): string {
    return this.share.python();
  }

  csv(): string {
    return this.share.csv();
  }

  svg(): string {
    const { state, look, styles, problem, runs, names } = this;
    return this.map.svg(SVG_SIZE, look, runs, styles, names, state.focus, problem.title);
  }
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

// What the page shows, and the same as the hash of its address, which people edit and send on.
// A method without lr in it gets the rate that the page chooses.

import type { Method } from "./engine";
import { MOST_STEPS } from "./engine";
import type { Data, Line } from "./types";

export interface State {
  /** A problem's name, or a typed function after "=". */
  problem: string;
  window: [[number, number], [number, number]] | null;
  start: [number, number];
  steps: number;
  methods: Method[];
  focus: number;
  step: number;
  /** What the second chart shows of the focused method: one of `curvesOf`; another is the first of them. */
  curve: string;
  /** The value that the sensitivity strip goes over beside the rate; another is the first that there is. */
  beside: string;
  /** What is kept in grey to compare with; null if nothing. */
  pin: Pin | null;
}

/** Paths on the present problem that were pinned. */
export interface Pin {
  start: [number, number];
  steps: number;
  methods: Method[];
}

export const MOST_METHODS = 12;

/** What can be shown of a method by step: places of x, and what is made of them. */
export function curvesOf(data: Data, method: Method): string[] {
  const { places, states } = data.rules[method.rule];
  const rated = places.includes("_rate");
  return [...(rated ? ["rate", "margin", "predicted", "eps", "split"] : []), "update", "gradient", ...states.map((n) => `state-${n}`)];
}

/** The names of a method's values, in their order. */
export function valueNames(data: Data, method: Method): string[] {
  const rule = data.rules[method.rule];
  return [...rule.hyperparameters, ...rule.states];
}

export function newMethod(data: Data, rule: string, dialect = ""): Method {
  return { rule, dialect, values: [...data.rules[rule].dialects[dialect].values], schedules: {}, open: true };
}

export function methodName(method: Method): string {
  return method.dialect ? `${method.rule}:${method.dialect}` : method.rule;
}

/** What a method has otherwise than its dialect. */
export function changes(data: Data, method: Method): [string, number][] {
  const start = data.rules[method.rule].dialects[method.dialect].values;
  return valueNames(data, method)
    .map((n, k): [string, number, number] => [n, method.values[k], start[k]])
    .filter(([n, value, given]) => value !== given && !(n in method.schedules))
    .map(([n, value]) => [n, value]);
}

/** Where a rate stands that can be moved, or -1. */
export function rateIndex(data: Data, method: Method): number {
  const rule = data.rules[method.rule];
  const fixed = rule.dialects[method.dialect].pinned.includes("lr") || "lr" in method.schedules;
  return fixed ? -1 : rule.hyperparameters.indexOf("lr");
}

function spelled(data: Data, methods: Method[]): string {
  return methods.map((m) => {
    const rate = rateIndex(data, m);
    const others = changes(data, m).filter(([n]) => n !== "lr");
    const given: [string, number][] = rate < 0 ? others : [["lr", m.values[rate]], ...others];
    return [methodName(m), ...given.map(([n, v]) => `${n}=${v}`)].join(",");
  }).join(";");
}

const FIELDS = new Set(["v", "p", "x", "n", "o", "f", "t", "c", "s", "w", "gx", "gn", "go"]); // of an address

export function toHash(data: Data, state: State): string {
  const fields: [string, string][] = [
    ["v", "1"],
    ["p", state.problem],
    ["x", state.start.join(",")],
    ["n", String(state.steps)],
    ["o", spelled(data, state.methods)],
    ["f", String(state.focus)],
    ["t", String(state.step)],
    ["c", state.curve],
    ["s", state.beside],
  ];
  if (state.window) fields.push(["w", state.window.flat().join(",")]);
  if (state.pin) {
    const { start, steps, methods } = state.pin;
    fields.push(["gx", start.join(",")], ["gn", String(steps)], ["go", spelled(data, methods)]);
  }
  const escape = (text: string) => encodeURIComponent(text).replace(/%(2C|3A|3B|3D|2F|20)/g, (code) =>
    code === "%20" ? "+" : decodeURIComponent(code),
  );
  return "#" + fields.map(([n, text]) => `${n}=${escape(text)}`).join("&");
}

function numbers(text: string | undefined, count: number): number[] | null {
  const parts = (text ?? "").split(",").map((part) => (part.trim() ? Number(part) : NaN));
  return parts.length === count && parts.every(Number.isFinite) ? parts : null;
}

/** The state of a hash over `state`; what cannot be read is left as it was and named in `problems`. */
export function fromHash(data: Data, hash: string, state: State): { state: State; problems: string[] } {
  const fields: Record<string, string> = {};
  const problems: string[] = [];
  for (const part of hash.replace(/^#/, "").split("&").filter(Boolean)) {
    const cut = part.indexOf("=");
    if (cut < 1) {
      problems.push(part);
      continue;
    }
    try {
      fields[part.slice(0, cut)] = decodeURIComponent(part.slice(cut + 1).replaceAll("+", "%20"));
    } catch {
      problems.push(part);
    }
  }
  for (const n of Object.keys(fields)) if (!FIELDS.has(n)) problems.push(`${n}=${fields[n]}`);
  const result: State = { ...state };
  const text = (n: string) => (Object.hasOwn(fields, n) ? fields[n] : undefined);
  const whole = (n: string, low: number, high: number, given: number): number => {
    const value = text(n);
    if (value === undefined) return given;
    if (/^\d+$/.test(value) && +value >= low && +value <= high) return +value;
    problems.push(`${n}=${value}`);
    return Math.min(Math.max(given, low), high);
  };
  const problem = text("p");
  if (problem !== undefined) {
    if (problem.startsWith("=") || Object.hasOwn(data.problems, problem)) {
      result.problem = problem;
      result.window = null;
      result.pin = null;
      if (!problem.startsWith("=")) result.start = data.problems[problem].starts[0];
    } else problems.push(`p=${problem}`);
  }
  const start = numbers(text("x"), 2);
  if (start) result.start = [start[0], start[1]];
  else if (text("x") !== undefined) problems.push(`x=${text("x")}`);
  const window = numbers(text("w"), 4);
  if (window && window[0] < window[1] && window[2] < window[3])
    result.window = [[window[0], window[1]], [window[2], window[3]]];
  else if (text("w") !== undefined) problems.push(`w=${text("w")}`);
  const read = (n: string) => {
    const given = (text(n) ?? "").split(";").filter(Boolean);
    problems.push(...given.slice(MOST_METHODS));
    return given.slice(0, MOST_METHODS).map((one) => readMethod(data, one, state, problems)).filter((m): m is Method => m !== null);
  };
  const methods = read("o");
  if (methods.length) {
    result.methods = methods;
    result.focus = 0;
  }
  if (text("c") !== undefined) result.curve = text("c")!;
  if (text("s") !== undefined) result.beside = text("s")!;
  result.steps = whole("n", 1, MOST_STEPS, result.steps);
  result.focus = whole("f", 0, result.methods.length - 1, Math.min(result.focus, result.methods.length - 1));
  result.step = whole("t", 0, result.steps, Math.min(result.step, result.steps));
  const pinned = read("go").map((m) => ({ ...m, open: false }));
  const from = numbers(text("gx"), 2);
  if (pinned.length && from) result.pin = { start: [from[0], from[1]], steps: whole("gn", 1, MOST_STEPS, result.steps), methods: pinned };
  else for (const n of ["gx", "gn", "go"]) if (text(n) !== undefined) problems.push(`${n}=${text(n)}`);
  return { state: result, problems };
}

function readMethod(data: Data, text: string, state: State, problems: string[]): Method | null {
  const [head, ...settings] = text.split(",");
  const [rule, dialect = ""] = head.split(/:(.*)/);
  if (!Object.hasOwn(data.rules, rule) || !Object.hasOwn(data.rules[rule].dialects, dialect)) {
    problems.push(head);
    return null;
  }
  const method = newMethod(data, rule, dialect);
  // Schedules are Python's: they stay with the method that had them.
  method.schedules = state.methods.find((m) => m.rule === rule && m.dialect === dialect)?.schedules ?? {};
  const names = valueNames(data, method);
  for (const setting of settings) {
    const [n, value] = setting.split("=");
    const k = names.indexOf(n);
    if (k < 0 || !value || !isAllowed(data, method, n, Number(value))) problems.push(`${head}: ${setting}`);
    else {
      method.values[k] = Number(value);
      if (n === "lr") method.open = false;
    }
  }
  return method;
}

/** Whether a line of the method takes this value. */
export function isAllowed(data: Data, method: Method, name: string, value: number): boolean {
  const rule = data.rules[method.rule];
  const line = rule.lines[name];
  const pinned = rule.dialects[method.dialect].pinned.includes(name);
  return !pinned && Number.isFinite(value) && holds(line, value);
}

function holds({ low, high, open }: Line, value: number): boolean {
  const above = low === null || (open[0] ? value > low : value >= low);
  return above && (high === null || (open[1] ? value < high : value <= high));
}

// What the library prints into the page, and what the page makes of it.

/** Scalars of step t (1 first) from the hyperparameters h, into c. */
export type Clock = (t: number, h: Float64Array, c: Float64Array) => void;
/** One coordinate's step: x = [w, g, states, rate], changed in place. */
export type Step = (x: Float64Array, c: Float64Array) => void;
export type Formula = (x: Float64Array, d: ArrayLike<number>, out: Float64Array) => void;
export type Schedule = (step: number) => number;

/** A hyperparameter that follows a schedule, and the Python of that. */
export interface Scheduled {
  at: Schedule;
  text: string;
  imports: string;
}

export interface Line {
  name: string;
  low: number | null;
  high: number | null;
  /** Whether `low` and `high` themselves are left out. */
  open: [boolean, boolean];
  unit: string;
  text: string;
}

export interface Dialect {
  clock: string;
  /** Of hyperparameters, then of states' starts. */
  values: number[];
  pinned: string[];
}

/** A step with its rate as an input, which is linear: of one coordinate, for theory. */
export interface Frozen {
  /** What the step reads: w, g and states. */
  inputs: string[];
  /** What it gives: w, and the states that w depends on. */
  outputs: string[];
  /** Where its scalars stand among the clock's; -1 is the rate. */
  scalars: number[];
  step: Formula;
}

export interface Look {
  light: string;
  dark: string;
  dash: number[];
}

export interface Rule {
  places: string[];
  hyperparameters: string[];
  states: string[];
  scalars: string[];
  /** Scalars that are an epsilon in the rate's denominator. */
  softeners: number[];
  lines: Record<string, Line>;
  dialects: Record<string, Dialect>;
  clocks: Record<string, Clock>;
  step: Step;
  /** null where the step is not linear once its rate is held. */
  frozen: Frozen | null;
  look: Look;
  /** What Python calls it, with the line that imports it. */
  python: { imports: string; name: string };
}

export interface Printed {
  kind: "printed";
  value: Formula;
  gradient: Formula;
  hessian: Formula | null;
  mean: Formula | null;
  /** Different rows of data, each with its count at the end; empty where there are none. */
  rows: number[][];
  /** Lines of Python that define gradient(w). */
  python: string[];
}

export interface Typed {
  kind: "typed";
  expression: string;
}

export interface Sampled {
  kind: "sampled";
  size: number;
  /** Base64 of float32: f, then its derivatives, rows along y. */
  data: string;
  python: string[];
}

export interface Problem {
  title: string;
  text: string;
  names: [string, string];
  window: [[number, number], [number, number]];
  starts: [number, number][];
  minima: [number, number][];
  minimum: number | null;
  surface: Printed | Typed | Sampled;
}

/** What a map shows: where x and y begin and end. */
export type Window = Problem["window"];

export interface GivenMethod {
  rule: string;
  dialect: string;
  values: number[];
  schedules: Record<string, Scheduled>;
  /** Whether the page chooses its rate. */
  open: boolean;
}

export interface Data {
  version: string;
  rules: Record<string, Rule>;
  problems: Record<string, Problem>;
  problem: string;
  methods: GivenMethod[];
  steps: number;
  start: [number, number] | null;
}

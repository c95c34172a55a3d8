// Runs: the library's printed steps on a surface.

import type { Surface } from "./surface";
import type { Data, GivenMethod, Rule, Schedule } from "./types";

/** A rule in a dialect with its values: hyperparameters, then states' starts. */
export type Method = GivenMethod;

export interface Run {
  /** x, y of steps 0 to `end`. */
  path: Float64Array;
  loss: Float64Array;
  /** The last step at which all is finite. */
  end: number;
  died: boolean;
}

/** What happened in a run, by step and coordinate: index 2 t + k; row 0 holds starts, NaN where there was no step. */
export interface Account {
  places: string[];
  values: Float64Array[];
  share: Float64Array;
  end: number;
}

export const MOST_STEPS = 5000;

export function newRun(): Run {
  return {
    path: new Float64Array(2 * (MOST_STEPS + 1)),
    loss: new Float64Array(MOST_STEPS + 1),
    end: 0,
    died: false,
  };
}

/** A run that goes on step by step: the coordinates as the printed step has them. */
class Stepper {
  readonly coordinates: [Float64Array, Float64Array];
  readonly scalars: Float64Array;
  private readonly h: Float64Array;
  private readonly g = new Float64Array(2);
  private readonly p = new Float64Array(2);
  private readonly clock;
  private readonly scheduled: [number, Schedule][];

  constructor(
    readonly rule: Rule,
    method: Method,
    private readonly surface: Surface,
    start: [number, number],
  ) {
    const many = rule.hyperparameters.length;
    this.h = Float64Array.from(method.values.slice(0, many));
    this.scheduled = Object.entries(method.schedules).map(([n, s]) => [rule.hyperparameters.indexOf(n), s.at]);
    this.scalars = new Float64Array(rule.scalars.length);
    this.clock = rule.clocks[rule.dialects[method.dialect].clock];
    const states = method.values.slice(many);
    this.coordinates = start.map((w) => {
      const x = new Float64Array(rule.places.length).fill(NaN);
      x[0] = w;
      x.set(states, 2);
      return x;
    }) as [Float64Array, Float64Array];
  }

  /** The scalars of step t and the gradient before it; then `step` moves. */
  prepare(t: number): void {
    for (const [k, at] of this.scheduled) this.h[k] = at(t - 1);
    this.clock(t, this.h, this.scalars);
    const [a, b] = this.coordinates;
    this.p[0] = a[0];
    this.p[1] = b[0];
    this.surface.gradient(this.p, this.g);
    a[1] = this.g[0];
    b[1] = this.g[1];
  }

  step(): void {
    this.rule.step(this.coordinates[0], this.scalars);
    this.rule.step(this.coordinates[1], this.scalars);
  }
}

/** The scalars of step t. */
export function clocked(rule: Rule, method: Method, t: number): Float64Array {
  const h = Float64Array.from(method.values.slice(0, rule.hyperparameters.length));
  for (const [n, s] of Object.entries(method.schedules)) h[rule.hyperparameters.indexOf(n)] = s.at(t - 1);
  const scalars = new Float64Array(rule.scalars.length);
  rule.clocks[rule.dialects[method.dialect].clock](t, h, scalars);
  return scalars;
}

/** Run a method from a start, into `run`; it ends early where anything stops being finite. */
export function advance(
  data: Data, method: Method, surface: Surface, start: [number, number], steps: number, run: Run,
): void {
  const stepper = new Stepper(data.rules[method.rule], method, surface, start);
  const [a, b] = stepper.coordinates;
  const { path, loss } = run;
  path[0] = start[0];
  path[1] = start[1];
  loss[0] = surface.value(start[0], start[1]);
  run.end = 0;
  run.died = !Number.isFinite(loss[0]);
  for (let t = 1; t <= steps && !run.died; t++) {
    stepper.prepare(t);
    stepper.step();
    path[2 * t] = a[0];
    path[2 * t + 1] = b[0];
    loss[t] = surface.value(a[0], b[0]);
    if (Number.isFinite(a[0]) && Number.isFinite(b[0]) && Number.isFinite(loss[t])) run.end = t;
    else run.died = true;
  }
}

/** The same run with all that happened in it. */
export function account(
  data: Data, method: Method, surface: Surface, start: [number, number], end: number,
): Account {
  const rule = data.rules[method.rule];
  const stepper = new Stepper(rule, method, surface, start);
  const { places } = rule;
  const rate = places.indexOf("_rate");
  const values = places.map(() => new Float64Array(2 * (end + 1)).fill(NaN));
  const share = new Float64Array(2 * (end + 1)).fill(NaN);
  const keep = (t: number): void => {
    stepper.coordinates.forEach((x, k) => places.forEach((_, j) => (values[j][2 * t + k] = x[j])));
  };
  keep(0);
  const bare = [0, 1].map(() => new Float64Array(places.length)); // the same step without ε
  const softened = new Float64Array(stepper.scalars.length);
  for (let t = 1; t <= end; t++) {
    stepper.prepare(t);
    stepper.coordinates.forEach((x, k) => bare[k].set(x));
    softened.set(stepper.scalars);
    stepper.step();
    keep(t);
    if (rate < 0 || !rule.softeners.length) continue;
    rule.softeners.forEach((k) => (softened[k] = 0));
    bare.forEach((x, k) => {
      rule.step(x, softened);
      const [a, b] = [stepper.coordinates[k][rate], x[rate]];
      share[2 * t + k] = a === b ? 0 : b === 0 ? 1 : 1 - a / b;
    });
  }
  return { places, values, share, end };
}

/** The largest eigenvalue of R^1/2 H R^1/2, R = diag(rates): rate times curvature in the steepest direction. */
export function moved(hessian: Float64Array, rates: [number, number]): number {
  const [r, s] = rates;
  const [a, b, c] = [r * hessian[0], Math.sqrt(r * s) * hessian[1], s * hessian[2]];
  return (a + c) / 2 + Math.hypot((a - c) / 2, b);
}

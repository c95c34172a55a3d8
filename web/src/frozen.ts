// Theory on the local quadratic: one step with its rates held is a linear map, read off the printed step.

import type { Account, Method, Run } from "./engine";
import { clocked } from "./engine";
import type { Surface } from "./surface";
import type { Data, Frozen } from "./types";

const LATE = 1e9; // a step at which a clock should have come to rest
const SQUARINGS = 16; // of a step's matrix: its power by 65536
const FINE = 24; // of them, where the place at which it grows is sought
const RATES: [number, number, number] = [-6, 9, 300]; // decades in which it is, and places looked at

/** Of one coordinate's (w, states): x' = A x + b g. */
interface Map1 {
  size: number;
  a: Float64Array;
  b: Float64Array;
}

function mapOf(frozen: Frozen, clock: Float64Array, rate: number): Map1 {
  const size = frozen.outputs.length;
  const [x, out] = [new Float64Array(frozen.inputs.length), new Float64Array(size)];
  const scalars = frozen.scalars.map((k) => (k < 0 ? rate : clock[k]));
  const column = (name: string) => {
    x.fill(0);
    const place = frozen.inputs.indexOf(name);
    if (place >= 0) x[place] = 1;
    frozen.step(x, scalars, out);
    return out;
  };
  const a = new Float64Array(size * size);
  frozen.outputs.forEach((name, k) => column(name).forEach((v, j) => (a[j * size + k] = v)));
  return { size, a, b: column("g").slice() };
}

/** The largest modulus of an eigenvalue: the growth of the matrix' powers. */
function radius(matrix: Float64Array, size: number, squarings: number): number {
  let m = matrix;
  let log = 0;
  for (let j = 0; ; j++) {
    let norm = 0;
    for (const v of m) norm = Math.max(norm, Math.abs(v));
    if (!(norm > 0)) return norm; // 0, or NaN
    log += Math.log(norm) / 2 ** j;
    if (j === squarings) return Math.exp(log);
    const square = new Float64Array(size * size);
    for (let r = 0; r < size; r++)
      for (let k = 0; k < size; k++) {
        const v = m[r * size + k] / norm;
        if (v) for (let s = 0; s < size; s++) square[r * size + s] += v * (m[k * size + s] / norm);
      }
    m = square;
  }
}

/** The largest rate times curvature up to which the step is stable; null where none is known. */
export function limitOf(data: Data, method: Method): number | null {
  const rule = data.rules[method.rule];
  const { frozen } = rule;
  if (!frozen || Object.keys(method.schedules).length) return null;
  const [clock, later] = [clocked(rule, method, LATE), clocked(rule, method, 2 * LATE)];
  if (clock.some((v, k) => !(Math.abs(v - later[k]) <= 1e-9 * Math.abs(v)))) return null;
  const stable = (rate: number) => {
    const { size, a, b } = mapOf(frozen, clock, rate);
    b.forEach((v, j) => (a[j * size] += v));
    return radius(a, size, FINE) <= 1 + 1e-7;
  };
  const [from, to, count] = RATES;
  const at = (k: number) => 10 ** (from + ((to - from) * k) / count);
  let first = 0;
  while (first <= count && stable(at(first))) first++;
  if (first === 0 || first > count) return null;
  let [low, high] = [at(first - 1), at(first)];
  for (let k = 0; k < 40; k++) {
    const middle = (low + high) / 2;
    if (stable(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** What a step leaves of the distance in the long run, on the quadratic that fits f where step t was taken; NaN where not known. */
export function predicted(data: Data, method: Method, surface: Surface, run: Run, told: Account, t: number): number {
  const rule = data.rules[method.rule];
  const rates = told.places.indexOf("_rate");
  const hessian = new Float64Array(3);
  if (!rule.frozen || rates < 0 || t < 1 || t > told.end) return NaN;
  if (!surface.hessian(run.path[2 * t - 2], run.path[2 * t - 1], hessian)) return NaN;
  const clock = clocked(rule, method, t);
  const maps = [0, 1].map((k) => mapOf(rule.frozen!, clock, told.values[rates][2 * t + k]));
  const { size } = maps[0];
  const whole = new Float64Array(4 * size * size);
  maps.forEach(({ a, b }, i) => {
    for (let r = 0; r < size; r++) {
      const row = (i * size + r) * 2 * size;
      for (let s = 0; s < size; s++) whole[row + i * size + s] = a[r * size + s];
      for (const j of [0, 1]) whole[row + j * size] += hessian[i + j] * b[r];
    }
  });
  return radius(whole, 2 * size, SQUARINGS);
}

export const PARTS = ["gradient", "memory", "scaling"];

/** A step in three parts that add up to it: the gradient's at the mean of both rates, what memory adds, what scaling adds. */
export function parts(run: Run, told: Account, t: number): [number, number][] | null {
  const rates = told.places.indexOf("_rate");
  if (rates < 0 || t < 1 || t > told.end) return null;
  const pair = (values: Float64Array) => [values[2 * t], values[2 * t + 1]];
  const rate = pair(told.values[rates]);
  const gradient = pair(told.values[told.places.indexOf("g")]);
  const mean = Math.sqrt(rate[0] * rate[1]);
  if (!(mean > 0 && mean < Infinity)) return null;
  const each = [0, 1].map((k) => {
    const moved = run.path[2 * t + k] - run.path[2 * t - 2 + k];
    const along = -moved / rate[k]; // the method's average of the gradient
    return [-mean * gradient[k], -mean * (along - gradient[k]), -(rate[k] - mean) * along];
  });
  return [0, 1, 2].map((p) => [each[0][p], each[1][p]]);
}

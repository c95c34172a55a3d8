// What happens, in one sentence of the page's own numbers.

import type { Account, Method, Run } from "./engine";
import { moved } from "./engine";
import { shown } from "./dom";
import type { Surface } from "./surface";

/** Rate times the steepest curvature where step t was taken, with the rates that it used; NaN where not known. */
export function steepness(surface: Surface, run: Run, told: Account, t: number): number {
  const rate = told.places.indexOf("_rate");
  if (rate < 0 || t < 1 || t > told.end) return NaN;
  const h = new Float64Array(3);
  if (!surface.hessian(run.path[2 * t - 2], run.path[2 * t - 1], h)) return NaN;
  const [a, b] = [told.values[rate][2 * t], told.values[rate][2 * t + 1]];
  return a >= 0 && b >= 0 ? moved(h, [a, b]) : NaN;
}

const percent = (share: number) => (share > 0.9995 ? "all" : share < 0.0005 ? "none" : `${shown(100 * share, 2)} %`);

export function sentence(
  name: string, names: [string, string], surface: Surface, run: Run, told: Account, step: number, limit: number | null,
): string {
  const bound = limit === null ? "" : `, the limit is ${shown(limit, 3)}`;
  if (run.died && !Number.isFinite(run.loss[0])) return `f is not finite at the start: choose another.`;
  if (run.died && !run.end) {
    const g = new Float64Array(2);
    surface.gradient(run.path.slice(0, 2), g);
    if (!g.every(Number.isFinite)) return `f has no finite gradient at the start: choose another.`;
  }
  if (run.died) {
    const first = steepness(surface, run, told, 1);
    const why =
      surface.exact === "not" ? " It left the window in which the function was sampled, or the function is not finite there."
      : first > 0 ? ` At its first step, rate times the steepest curvature was ${shown(first, 3)}${bound}.` : "";
    const near = run.end ? "" : " Its first step already overflowed.";
    return `${name} diverged: after step ${run.end} its numbers are no longer finite.${near}${why} Choose a smaller rate.`;
  }
  if (step < 1) return `The start. Move the step on, with [ and ], to see what ${name} does.`;
  const t = Math.min(step, run.end);
  const [dx, dy] = [0, 1].map((k) => run.path[2 * t + k] - run.path[2 * t - 2 + k]);
  const parts = [`Step ${t}: ${name} moves ${names[0]} by ${shown(dx, 3)} and ${names[1]} by ${shown(dy, 3)}.`];
  const rate = told.places.indexOf("_rate");
  if (rate >= 0) {
    const [a, b] = [0, 1].map((k) => told.values[rate][2 * t + k]);
    if (a > 0 && b > 0 && a !== b) {
      const [fast, slow] = a > b ? [names[0], names[1]] : [names[1], names[0]];
      const times = Math.max(a / b, b / a);
      parts.push(`Its rate along ${fast} is ${shown(times, 3)} times that along ${slow}.`);
    } else if (a > 0 && a === b) parts.push(`Its rate is the same along both: ${shown(a, 3)}.`);
    const [u, v] = [told.share[2 * t], told.share[2 * t + 1]];
    if (Math.max(u, v) > 0.01)
      parts.push(`ε makes up ${percent(u)} of the rate's denominator along ${names[0]} and ${percent(v)} along ${names[1]}.`);
  }
  const steep = steepness(surface, run, told, t);
  if (steep > 0) {
    const side = limit === null ? "" : steep > limit ? ": above it, so the steepest direction grows" : ": within it";
    parts.push(`Rate times the steepest curvature is ${shown(steep, 3)}${bound}${side}.`);
  }
  return parts.join(" ");
}

const SAME = 1e-9; // of a path's reach: less is rounding

/** Where another form of the focused method's rule leaves its path; "" where there is none. */
export function parting(methods: Method[], runs: Run[], names: string[], focus: number): string {
  const other = methods.findIndex((m, k) => k !== focus && m.rule === methods[focus].rule);
  if (other < 0) return "";
  const [a, b] = [runs[focus], runs[other]];
  const end = Math.min(a.end, b.end);
  let reach = 0;
  for (let i = 0; i < 2 * (end + 1); i++) reach = Math.max(reach, Math.abs(a.path[i] - a.path[i % 2]));
  const gap = (t: number) => Math.hypot(a.path[2 * t] - b.path[2 * t], a.path[2 * t + 1] - b.path[2 * t + 1]);
  let t = 0;
  while (t <= end && gap(t) <= SAME * reach) t++;
  if (t > end) return `${names[other]} goes the same way.`;
  return `${names[other]} leaves its path at step ${t}, by ${shown(gap(t), 2)}; at step ${end} they are ${shown(gap(end), 2)} apart.`;
}

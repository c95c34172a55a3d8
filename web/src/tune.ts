// Telling rates: of a grid, for each method, the one that comes to the target first and stays.

import { advance, newRun } from "./engine";
import { rateIndex, type State } from "./state";
import type { Surface } from "./surface";
import type { Data, GivenMethod, Problem } from "./types";

const RATES = Array.from({ length: 57 }, (_, k) => Number((10 ** (-5 + k / 8)).toPrecision(2)));
export const SHARE = 1e-3; // of the start's height over the floor: the target
const ASTRAY = 0.5; // added to the score of a path that leaves the window
const TELLING = 60; // steps, where f falls for ever and the fastest rate would be gone at once

/** The methods with the rates of those that are open chosen anew; `floor` is the lowest value known. */
export function tuned(data: Data, state: State, surface: Surface, problem: Problem, floor: number): GivenMethod[] {
  const run = newRun();
  const first = surface.value(...state.start);
  const target = floor + SHARE * (first - floor);
  const bottomless = floor - (first - floor);
  const [[x0, x1], [y0, y1]] = state.window ?? problem.window;
  const leaves = () => {
    for (let t = 0; t <= run.end; t++) {
      const [x, y] = [run.path[2 * t], run.path[2 * t + 1]];
      if (x < x0 || x > x1 || y < y0 || y > y1) return true;
    }
    return false;
  };
  return state.methods.map((method) => {
    const k = rateIndex(data, method);
    if (!method.open || k < 0) return method;
    let [best, least] = [method.values[k], Infinity];
    const values = [...method.values];
    for (const rate of RATES) {
      values[k] = rate;
      advance(data, { ...method, values }, surface, state.start, state.steps, run);
      let reached = run.end + 1;
      while (reached > 0 && run.loss[reached - 1] <= target) reached--;
      const fallen = run.end >= reached;
      const bottom = problem.minimum === null && run.loss[run.end] < bottomless;
      const score =
        fallen && (bottom || run.died) ? Math.abs(Math.log((reached || 1) / TELLING))
        : run.died ? Infinity
        : fallen ? reached / state.steps
        : 1 + Math.max(0, run.loss[run.end] - floor) / Math.max(first - floor, 1e-300);
      const whole = score + (!bottom && leaves() ? ASTRAY : 0);
      if (whole < least) [best, least] = [rate, whole];
    }
    values[k] = best;
    return { ...method, values };
  });
}

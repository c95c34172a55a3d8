// Sensitivity: how soon the method in focus comes to the target, over its rate and one more of its values.

import { advance, type Method, newRun } from "./engine";
import { fitted, FONT, sized, type Theme } from "./look";
import { rateIndex, valueNames } from "./state";
import type { Surface } from "./surface";
import { SHARE } from "./tune";
import type { Data } from "./types";

const COLUMNS = 40;
const ROWS = 16;
export const CELLS = COLUMNS * ROWS;
const RATES: [number, number] = [-5, 2]; // decades

/** The values of a method that the strip can go over beside its rate. */
export function others(data: Data, method: Method): string[] {
  const rule = data.rules[method.rule];
  const pinned = rule.dialects[method.dialect].pinned;
  return rule.hyperparameters.filter((n) => n !== "lr" && !pinned.includes(n) && !(n in method.schedules));
}

/** A scale from 0 to 1 and back: what is kept of the past by what is lacking to 1, all else by decades. */
export class Scale {
  private readonly range: [number, number];
  private readonly fraction: boolean;

  constructor(data: Data, method: Method, readonly name: string) {
    const line = data.rules[method.rule].lines[name];
    this.fraction = line.low === 0 && line.high === 1;
    const given = data.rules[method.rule].dialects[method.dialect].values[valueNames(data, method).indexOf(name)];
    this.range =
      name === "lr" ? RATES
      : this.fraction ? [-4, 0]
      : name.startsWith("eps") ? [-10, 4]
      : given > 0 ? [Math.log10(given) - 2, Math.log10(given) + 2]
      : [-6, 2];
  }

  at(share: number): number {
    const [low, high] = this.range;
    const size = 10 ** (low + (high - low) * (this.fraction ? 1 - share : share));
    return this.fraction ? Number((1 - size).toPrecision(6)) : Number(size.toPrecision(3));
  }

  /** Where a value lies; NaN where it has no place. */
  share(value: number): number {
    const [low, high] = this.range;
    const size = Math.log10(this.fraction ? 1 - value : value);
    const share = (size - low) / (high - low);
    return this.fraction ? 1 - share : share;
  }
}

export interface Strip {
  x: Scale;
  y: Scale;
  /** Steps to the target by row and column: Infinity where it is not reached, NaN where the run diverged. */
  steps: Float32Array;
  /** Cells that are done. */
  done: number;
}

export function newStrip(data: Data, method: Method, name: string): Strip {
  return {
    x: new Scale(data, method, "lr"),
    y: new Scale(data, method, name),
    steps: new Float32Array(CELLS).fill(Infinity),
    done: 0,
  };
}

/** Run cells of the strip for some milliseconds. */
export function fill(
  data: Data, strip: Strip, method: Method, surface: Surface, start: [number, number], steps: number, floor: number, ms: number,
): void {
  const run = newRun();
  const values = [...method.values];
  const [rate, other] = [rateIndex(data, method), valueNames(data, method).indexOf(strip.y.name)];
  const target = floor + SHARE * (surface.value(...start) - floor);
  const until = performance.now() + ms;
  for (; strip.done < CELLS && performance.now() < until; strip.done++) {
    [values[rate], values[other]] = valuesOf(strip, strip.done);
    advance(data, { ...method, values }, surface, start, steps, run);
    let reached = run.end + 1;
    while (reached > 0 && run.loss[reached - 1] <= target) reached--;
    strip.steps[strip.done] = run.died ? NaN : reached <= run.end ? reached : Infinity;
  }
}

/** Rate and other value of a cell. */
export function valuesOf(strip: Strip, cell: number): [number, number] {
  return [strip.x.at(((cell % COLUMNS) + 0.5) / COLUMNS), strip.y.at((Math.floor(cell / COLUMNS) + 0.5) / ROWS)];
}

/** The place of the soonest; -1 where nothing comes to the target. */
export function best(strip: Strip): number {
  let place = -1;
  strip.steps.forEach((v, k) => {
    if (v < (place < 0 ? Infinity : strip.steps[place])) place = k;
  });
  return place;
}

const LEFT = 52;
const BOTTOM = 34;

/** Rate and other value at a pixel of the canvas; null beside the strip. */
export function valuesAt(canvas: HTMLCanvasElement, strip: Strip, px: number, py: number): [number, number] | null {
  const [width, height] = [sized(canvas)[0] - LEFT, sized(canvas)[1] - BOTTOM];
  const [u, v] = [(px - LEFT) / width, 1 - py / height];
  return u < 0 || u > 1 || v < 0 || v > 1 ? null : [strip.x.at(u), strip.y.at(v)];
}

export function drawStrip(canvas: HTMLCanvasElement, look: Theme, strip: Strip, most: number, rate: number, other: number): void {
  const { c, width, height } = fitted(canvas);
  const [w, t] = [(width - LEFT) / COLUMNS, (height - BOTTOM) / ROWS];
  strip.steps.subarray(0, strip.done).forEach((v, cell) => {
    const [i, j] = [cell % COLUMNS, Math.floor(cell / COLUMNS)];
    const [x, y] = [LEFT + i * w, height - BOTTOM - (j + 1) * t];
    if (Number.isNaN(v)) {
      c.strokeStyle = look.muted;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(x, y + t);
      c.lineTo(x + w, y);
      c.stroke();
    } else if (v < Infinity) {
      c.globalAlpha = 0.15 + 0.85 * (1 - Math.log(1 + v) / Math.log(1 + most));
      c.fillStyle = look.water;
      c.fillRect(x, y, w + 0.5, t + 0.5);
      c.globalAlpha = 1;
    }
  });
  c.strokeStyle = look.muted;
  c.strokeRect(LEFT + 0.5, 0.5, width - LEFT - 1, height - BOTTOM - 1);
  c.font = FONT;
  c.fillStyle = look.muted;
  const short = (v: number) => (v >= 0.001 && v < 1000 ? String(Number(v.toPrecision(4))) : v.toExponential(0).replace("+", ""));
  c.textAlign = "center";
  for (const u of [1 / 7, 3 / 7, 5 / 7]) c.fillText(short(strip.x.at(u)), LEFT + u * (width - LEFT), height - BOTTOM + 14);
  c.fillText("rate", LEFT + (width - LEFT) / 2, height - 5);
  c.textAlign = "right";
  for (const v of [0, 0.5, 1]) c.fillText(short(strip.y.at(v)), LEFT - 5, Math.max(11, (1 - v) * (height - BOTTOM)));
  const place = best(strip);
  if (place >= 0 && strip.done === CELLS) {
    c.fillStyle = look.ink;
    c.textAlign = "center";
    c.font = "18px sans-serif";
    c.fillText("★", LEFT + ((place % COLUMNS) + 0.5) * w, height - BOTTOM - (Math.floor(place / COLUMNS) + 0.5) * t + 6);
  }
  const clamp = (share: number) => Math.max(0, Math.min(1, Number.isNaN(share) ? 0 : share));
  const [x, y] = [LEFT + clamp(strip.x.share(rate)) * (width - LEFT), (1 - clamp(strip.y.share(other))) * (height - BOTTOM)];
  for (const [colour, size] of [[look.panel, 5], [look.ink, 2]] as const) {
    c.strokeStyle = colour;
    c.lineWidth = size;
    c.beginPath();
    c.arc(x, y, 8, 0, 7);
    c.stroke();
  }
}

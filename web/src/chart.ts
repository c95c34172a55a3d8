// Curves over steps on a logarithmic axis.

import { scaleLinear, scaleLog } from "d3-scale";
import { shown } from "./dom";
import { crossed, fitted, FONT, type Theme } from "./look";
import { Pen } from "./paths";

export interface Curve {
  /** The value at step t. */
  at: (t: number) => number;
  first: number;
  last: number;
  colour: string;
  dash: number[];
  width: number;
  label: string;
  cross: boolean;
}

/** A height of its own, such as a limit. */
export interface Level {
  value: number;
  text: string;
}

const LEFT = 52;
const BOTTOM = 22;
const TOP = 10;
const DECADES = 18; // below the highest value, which is rounding

/** Draw curves of what is above 0; what is above `most` is drawn at the upper edge. */
export function draw(
  canvas: HTMLCanvasElement, look: Theme, curves: Curve[], steps: number, step: number, right: number, level: Level | null = null, most = Infinity,
): void {
  const { c, width, height } = fitted(canvas);
  let [low, high] = [Infinity, 0];
  for (const { at, first, last } of curves)
    for (let t = first; t <= last; t++) {
      const v = at(t);
      if (v > 0 && v < Infinity) {
        if (v < low) low = v;
        if (v > high) high = Math.min(v, most);
      }
    }
  if (!(high > 0)) [low, high] = [0.1, 1];
  if (level) [low, high] = [Math.min(low, level.value / 2), Math.max(high, level.value * 2)];
  low = Math.max(low, high * 10 ** -DECADES);
  if (high / low < 10) [low, high] = [low / 2, high * 2];
  const x = scaleLinear([0, steps], [LEFT, width - right]);
  const y = scaleLog([low, high], [height - BOTTOM, TOP]);
  axes(c, look, x, y, width - right, height);
  const floor = height - BOTTOM;
  const ends: { y: number; label: string; colour: string }[] = [];
  // Straight lines in place of the scales' calls: thousands of points a frame.
  const [dx, dy] = [(width - right - LEFT) / steps, (floor - TOP) / (Math.log(high) - Math.log(low))];
  const [bottom, top] = [Math.log(low), TOP];
  for (const { at, first, last, colour, dash, width: stroke, label, cross } of curves) {
    c.strokeStyle = colour;
    c.lineWidth = stroke;
    c.beginPath();
    const pen = new Pen(c, dash);
    let drawn = false;
    let py = floor;
    for (let t = first; t <= last; t++) {
      const v = at(t);
      if (Number.isNaN(v)) continue;
      py = v > 0 ? Math.max(top - 4, Math.min(floor, floor - (Math.log(v) - bottom) * dy)) : floor;
      if (drawn) pen.line(LEFT + t * dx, py);
      else pen.move(LEFT + t * dx, py);
      drawn = true;
    }
    c.stroke();
    if (!drawn) continue;
    if (cross) crossed(c, LEFT + last * dx, py, 5, 2.5);
    ends.push({ y: py, label, colour });
  }
  if (level) {
    const py = floor - (Math.log(level.value) - bottom) * dy;
    c.strokeStyle = c.fillStyle = look.ink;
    c.lineWidth = 1;
    c.setLineDash([2, 3]);
    c.beginPath();
    c.moveTo(LEFT, py);
    c.lineTo(width - right, py);
    c.stroke();
    c.setLineDash([]);
    c.textAlign = "right";
    c.fillText(level.text, width - right - 4, py - 4);
  }
  if (right > 30) labels(c, ends, width - right + 6, TOP, floor);
  c.strokeStyle = look.muted;
  c.lineWidth = 1;
  c.beginPath();
  c.moveTo(LEFT + step * dx, TOP);
  c.lineTo(LEFT + step * dx, floor);
  c.stroke();
}

function axes(
  c: CanvasRenderingContext2D, look: Theme,
  x: ReturnType<typeof scaleLinear<number>>, y: ReturnType<typeof scaleLog<number>>, right: number, height: number,
): void {
  c.font = FONT;
  c.textAlign = "right";
  const [low, high] = y.domain().map(Math.log10);
  const every = Math.max(1, Math.ceil((high - low) / 6));
  const decades = [];
  for (let k = Math.ceil(low); k <= high; k++) if (k % every === 0) decades.push(10 ** k);
  for (const v of decades.length > 1 ? decades : y.ticks(4).filter((_, k) => k % 3 === 0)) {
    c.fillStyle = look.grid;
    c.fillRect(LEFT, y(v), right - LEFT, 1);
    c.fillStyle = look.muted;
    const k = Math.log10(v);
    const power = Number.isInteger(Math.round(k * 1e9) / 1e9);
    c.fillText(power ? `10${superscript(Math.round(k))}` : shown(v, 2), LEFT - 6, y(v) + 4);
  }
  c.textAlign = "center";
  c.fillStyle = look.muted;
  for (const v of x.ticks(5)) if (Number.isInteger(v)) c.fillText(String(v), x(v), height - 6);
}

function superscript(k: number): string {
  return [...String(k)].map((d) => (d === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[+d])).join("");
}

/** Labels at the ends of curves, moved apart. */
function labels(
  c: CanvasRenderingContext2D, ends: { y: number; label: string; colour: string }[], x: number, top: number, bottom: number,
): void {
  const gap = 14;
  const sorted = [...ends].sort((a, b) => a.y - b.y);
  let last = top - gap + 4;
  const places = sorted.map(({ y }) => (last = Math.max(y, last + gap)));
  let limit = bottom + gap;
  for (let k = places.length - 1; k >= 0; k--) limit = places[k] = Math.min(places[k], limit - gap);
  c.textAlign = "left";
  c.font = FONT;
  sorted.forEach(({ label, colour }, k) => {
    c.fillStyle = colour;
    c.fillText(label, x, places[k] + 4);
  });
}

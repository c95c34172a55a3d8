// Paths on a canvas: lines thinned out to what the eye can tell apart, with crosses, markers and arrows.

import type { Run } from "./engine";
import { crossed, FONT, type Line, type Theme } from "./look";
import type { Window } from "./types";

const FAR = 4; // widths beyond the edge to which points are drawn
const FINE = 0.6; // pixels below which a step is not drawn
const ARROW = 64; // pixels of the longest arrow

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** From the plane to a box of the canvas. */
export function into({ x, y, width, height }: Box, [[x0, x1], [y0, y1]]: Window): (u: number, v: number) => [number, number] {
  const [sx, sy] = [width / (x1 - x0), height / (y1 - y0)];
  const far = (v: number, size: number) => Math.max(-FAR * size, Math.min((1 + FAR) * size, v));
  return (u, v) => [x + far((u - x0) * sx, width), y + far(height - (v - y0) * sy, height)];
}

/** On which sides of a box a point lies outside, as bits: two points that share one see nothing of the box between them. */
function side({ x, y, width, height }: Box, px: number, py: number): number {
  return (px < x - 4 ? 1 : px > x + width + 4 ? 2 : 0) | (py < y - 4 ? 4 : py > y + height + 4 ? 8 : 0);
}

/** A pen that lifts itself for dashes: a canvas takes several times as long to dash a path of many points. */
export class Pen {
  private x = 0;
  private y = 0;
  private index = 0; // of the dash that is being drawn, or the gap
  private left: number; // of it, pixels

  constructor(private readonly c: CanvasRenderingContext2D, private readonly dash: number[]) {
    this.left = dash[0] ?? Infinity;
  }

  move(x: number, y: number): void {
    this.c.moveTo(x, y);
    [this.x, this.y] = [x, y];
  }

  line(x: number, y: number): void {
    const { c, dash } = this;
    if (dash.length) {
      const length = Math.hypot(x - this.x, y - this.y);
      const [ux, uy] = [(x - this.x) / length, (y - this.y) / length];
      let done = 0;
      while (length - done > this.left) {
        done += this.left;
        const [px, py] = [this.x + ux * done, this.y + uy * done];
        if (this.index % 2) c.moveTo(px, py);
        else c.lineTo(px, py);
        this.index = (this.index + 1) % (2 * dash.length);
        this.left = dash[this.index % dash.length];
      }
      this.left -= length - done;
    }
    if (this.index % 2 === 0) c.lineTo(x, y);
    [this.x, this.y] = [x, y];
  }
}

/** Stroke a run's path in the width and alpha that are set, and its cross where it died. */
export function strokeRun(
  c: CanvasRenderingContext2D, { path, end, died }: Run, at: ReturnType<typeof into>, { colour, dash }: Line, box: Box, cross: number,
): void {
  c.strokeStyle = colour;
  c.beginPath();
  const pen = new Pen(c, dash);
  let [lastX, lastY] = at(path[0], path[1]);
  let lastSide = side(box, lastX, lastY);
  pen.move(lastX, lastY);
  for (let t = 1; t <= end; t++) {
    const [px, py] = at(path[2 * t], path[2 * t + 1]);
    if (t < end && Math.abs(px - lastX) + Math.abs(py - lastY) < FINE) continue;
    const now = side(box, px, py);
    if (now & lastSide) pen.move(px, py);
    else pen.line(px, py);
    [lastX, lastY, lastSide] = [px, py, now];
  }
  c.stroke();
  if (!died) return;
  const inside = (v: number, from: number, size: number) => Math.max(from + 1.5 * cross, Math.min(from + size - 1.5 * cross, v));
  crossed(c, inside(lastX, box.x, box.width), inside(lastY, box.y, box.height), cross, cross / 2);
}

/** The marker of a step. */
export function diamond(c: CanvasRenderingContext2D, [px, py]: [number, number], half: number, colour: string, edge: string): void {
  c.fillStyle = colour;
  c.strokeStyle = edge;
  c.lineWidth = half / 4;
  c.beginPath();
  c.moveTo(px, py - half);
  c.lineTo(px + half, py);
  c.lineTo(px, py + half);
  c.lineTo(px - half, py);
  c.closePath();
  c.fill();
  c.stroke();
}

/** Arrows one after the other from a point, all in one scale that makes the longest as long as can be seen; `moves` are in pixels. */
export function arrows(c: CanvasRenderingContext2D, look: Theme, from: [number, number], moves: [number, number][], names: string[]): void {
  const longest = Math.max(...moves.map(([u, v]) => Math.hypot(u, v)));
  if (!(longest > 0)) return;
  const scale = ARROW / longest;
  let [px, py] = from;
  c.font = FONT;
  moves.forEach(([u, v], k) => {
    const [qx, qy] = [px + u * scale, py + v * scale];
    const size = Math.hypot(qx - px, qy - py);
    if (size < 3) return;
    const [ux, uy] = [(qx - px) / size, (qy - py) / size];
    const head = Math.min(8, size / 2);
    for (const [colour, width] of [[look.panel, 5], [look.ink, 2]] as const) {
      c.strokeStyle = colour;
      c.lineWidth = width;
      c.beginPath();
      c.moveTo(px, py);
      c.lineTo(qx, qy);
      c.moveTo(qx - head * (ux + uy / 2), qy - head * (uy - ux / 2));
      c.lineTo(qx, qy);
      c.lineTo(qx - head * (ux - uy / 2), qy - head * (uy + ux / 2));
      c.stroke();
    }
    c.textAlign = ux < 0 ? "right" : "left";
    c.strokeStyle = look.panel;
    c.fillStyle = look.ink;
    c.lineWidth = 3;
    const [tx, ty] = [(px + qx) / 2 + (ux < 0 ? -8 : 8), (py + qy) / 2 + (uy < 0 ? -2 : 12)];
    c.strokeText(names[k], tx, ty);
    c.fillText(names[k], tx, ty);
    [px, py] = [qx, qy];
  });
}

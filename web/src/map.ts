// The map: contour lines of the surface, paths over them.

import { quantileSorted } from "d3-array";
import { contours } from "d3-contour";
import { scaleLinear } from "d3-scale";
import { h } from "./dom";
import type { Run } from "./engine";
import { PARTS, parts } from "./frozen";
import { fitted, FONT, type Line, sized, type Theme, THIN } from "./look";
import type { Page } from "./page";
import { arrows, diamond, into, strokeRun } from "./paths";
import type { Surface } from "./surface";
import type { Problem, Window } from "./types";

const GRID = 121;
const LEVELS = 16;
const FAR = 4; // widths beyond the edge to which points are drawn

interface Terrain {
  rings: { tint: number; multi: number[][][][] }[];
  lowest: number;
}

/** Contours at quantiles of log height, so that valleys have lines too. */
export function terrain(surface: Surface, [[x0, x1], [y0, y1]]: Window, minimum: number | null): Terrain {
  const heights = new Array<number>(GRID * GRID);
  for (let j = 0; j < GRID; j++)
    for (let i = 0; i < GRID; i++)
      heights[j * GRID + i] = surface.value(x0 + ((x1 - x0) * i) / (GRID - 1), y0 + ((y1 - y0) * j) / (GRID - 1));
  const finite = heights.filter(Number.isFinite).sort((a, b) => a - b);
  if (!finite.length) return { rings: [], lowest: 0 };
  const lowest = Math.min(minimum ?? finite[0], finite[0]);
  const middle = quantileSorted(finite, 0.5)! - lowest;
  const soft = 1e-3 * (middle || 1);
  const bent = heights.map((v) => Math.log10((Number.isFinite(v) ? v : finite[finite.length - 1]) - lowest + soft));
  const sorted = finite.map((v) => Math.log10(v - lowest + soft));
  const levels = Array.from({ length: LEVELS }, (_, k) => quantileSorted(sorted, (k + 0.5) / LEVELS)!);
  const unique = levels.filter((v, k) => k === 0 || v > levels[k - 1]);
  const made = contours().size([GRID, GRID]).thresholds(unique)(bent);
  return {
    rings: made.map(({ coordinates }, k) => ({ tint: k / unique.length, multi: coordinates as number[][][][] })),
    lowest: finite[0],
  };
}

export class Map2 {
  private ground: Terrain = { rings: [], lowest: 0 };
  private window: Window = [[0, 1], [0, 1]];
  private minima: [number, number][] = [];

  constructor(
    private readonly back: HTMLCanvasElement,
    private readonly front: HTMLCanvasElement,
  ) {}

  get lowest(): number {
    return this.ground.lowest;
  }

  show(surface: Surface, window: Window, problem: Problem): void {
    this.window = window;
    this.minima = problem.minima;
    this.ground = terrain(surface, window, problem.minimum);
  }

  /** The map as SVG, this many units each way: contours, minima, paths with their crosses, the start. */
  svg(size: number, look: Theme, runs: Run[], styles: Line[], names: string[], focus: number, title: string): string {
    const [[x0, x1], [y0, y1]] = this.window;
    const at = (x: number, y: number) => {
      const far = (v: number) => Math.max(-FAR * size, Math.min((1 + FAR) * size, v));
      return [far(((x - x0) / (x1 - x0)) * size), far((1 - (y - y0) / (y1 - y0)) * size)].map((v) => v.toFixed(1)).join(" ");
    };
    const place = ([u, v]: number[]) => `${(((u - 0.5) / (GRID - 1)) * size).toFixed(1)} ${((1 - (v - 0.5) / (GRID - 1)) * size).toFixed(1)}`;
    const text = (words: string) => words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    const rings = this.ground.rings.map(({ multi }) => multi.flat().map((ring) => `M${ring.map(place).join("L")}Z`).join(""));
    const cross = (x: number, y: number, r: number, turned: boolean) => {
      const [px, py] = at(x, y).split(" ").map((v) => Math.max(r, Math.min(size - r, +v)));
      return turned
        ? `M${px - r} ${py - r}L${px + r} ${py + r}M${px + r} ${py - r}L${px - r} ${py + r}`
        : `M${px - r} ${py}H${px + r}M${px} ${py - r}V${py + r}`;
    };
    const order = runs.map((_, k) => k).filter((k) => k !== focus).concat(focus);
    const paths = order.map((k) => {
      const { path, end, died } = runs[k];
      const points = Array.from({ length: end + 1 }, (_, t) => at(path[2 * t], path[2 * t + 1]));
      const thin = points.filter((p, t) => t === 0 || t === end || p !== points[t - 1]);
      const mark = died ? `<path d="${cross(path[2 * end], path[2 * end + 1], 6, true)}" stroke-width="3"/>` : "";
      return `<g stroke="${styles[k].colour}" stroke-width="${k === focus ? 2.4 : 1.5}"><title>${text(names[k])}</title><path d="M${thin.join("L")}" stroke-dasharray="${styles[k].dash.join(" ")}"/>${mark}</g>`;
    });
    const [{ path }] = runs;
    const [sx, sy] = at(path[0], path[1]).split(" ");
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" width="${size}" height="${size}" fill="none">`,
      `<title>${text(title)}</title><rect width="${size}" height="${size}" fill="${look.panel}"/>`,
      ...rings.map((d) => `<path d="${d}" fill="${look.water}" fill-opacity="${look.dark ? 0.05 : 0.035}" fill-rule="evenodd" stroke="${look.water}" stroke-opacity="0.3" stroke-width="0.7"/>`),
      `<path d="${this.minima.map(([x, y]) => cross(x, y, 5, false)).join("")}" stroke="${look.ink}"/>`,
      ...paths,
      `<circle cx="${sx}" cy="${sy}" r="6" fill="${look.ink}"/></svg>`,
      "",
    ].join("\n");
  }

  toPixels(x: number, y: number): [number, number] {
    const [[x0, x1], [y0, y1]] = this.window;
    const [width, height] = sized(this.front);
    return [((x - x0) / (x1 - x0)) * width, (1 - (y - y0) / (y1 - y0)) * height];
  }

  toPoint(px: number, py: number): [number, number] {
    const [[x0, x1], [y0, y1]] = this.window;
    const [width, height] = sized(this.front);
    return [x0 + (px / width) * (x1 - x0), y0 + (1 - py / height) * (y1 - y0)];
  }

  /** The ground once more, small: into a box of another canvas. */
  copyGround(c: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
    c.drawImage(this.back, x, y, width, height);
  }

  /** Ground and paths as one picture. */
  picture(): HTMLCanvasElement {
    const { width, height } = this.front;
    const canvas = h("canvas", { width, height });
    const c = canvas.getContext("2d")!;
    c.drawImage(this.back, 0, 0);
    c.drawImage(this.front, 0, 0);
    return canvas;
  }

  drawGround(look: Theme, names: [string, string]): void {
    const { c, width, height } = fitted(this.back);
    c.fillStyle = look.panel;
    c.fillRect(0, 0, width, height);
    const place = ([u, v]: number[]): [number, number] => [
      ((u - 0.5) / (GRID - 1)) * width,
      (1 - (v - 0.5) / (GRID - 1)) * height,
    ];
    c.fillStyle = c.strokeStyle = look.water;
    for (const { multi } of this.ground.rings) {
      c.beginPath();
      for (const polygon of multi)
        for (const ring of polygon) {
          ring.forEach((point, k) => (k ? c.lineTo(...place(point)) : c.moveTo(...place(point))));
          c.closePath();
        }
      c.globalAlpha = look.dark ? 0.05 : 0.035;
      c.fill("evenodd");
      c.globalAlpha = 0.3;
      c.lineWidth = 0.7;
      c.stroke();
    }
    c.globalAlpha = 1;
    this.axes(c, width, height, look, names);
  }

  private axes(c: CanvasRenderingContext2D, width: number, height: number, look: Theme, names: [string, string]): void {
    c.font = FONT;
    c.fillStyle = look.ink;
    const [xs, ys] = this.window.map((range) => scaleLinear().domain(range));
    c.textAlign = "center";
    for (const v of xs.ticks(5)) {
      const px = xs(v) * width;
      if (px < 24 || px > width - 36) continue;
      c.fillRect(px, height - 4, 1, 4);
      c.fillText(xs.tickFormat(5)(v), px, height - 8);
    }
    c.textAlign = "left";
    for (const v of ys.ticks(5)) {
      const py = (1 - ys(v)) * height;
      if (py < 28 || py > height - 28) continue;
      c.fillRect(0, py, 4, 1);
      c.fillText(ys.tickFormat(5)(v), 8, py + 4);
    }
    c.font = `italic ${FONT}`;
    c.fillText(names[1], 8, 16);
    c.textAlign = "right";
    c.fillText(names[0], width - 8, height - 8);
    for (const [x, y] of this.minima) {
      const [px, py] = this.toPixels(x, y);
      c.strokeStyle = look.ink;
      c.lineWidth = 1.2;
      c.beginPath();
      c.moveTo(px - 5, py);
      c.lineTo(px + 5, py);
      c.moveTo(px, py - 5);
      c.lineTo(px, py + 5);
      c.stroke();
    }
  }

  /** Pinned paths in grey, then all, the focused one on top with a marker at the step, and the parts of that step if they are asked for. */
  drawPaths({ look, runs, styles, state, ghosts, told }: Page): void {
    const { c, width, height } = fitted(this.front);
    const box = { x: 0, y: 0, width, height };
    const at = into(box, this.window);
    const { focus, step } = state;
    c.lineJoin = "round";
    c.lineWidth = THIN;
    for (const ghost of ghosts) strokeRun(c, ghost, at, { colour: look.ghost, dash: [] }, box, 5);
    for (const k of [...runs.keys()].filter((k) => k !== focus).concat(focus)) {
      c.lineWidth = k === focus ? 2.4 : THIN;
      strokeRun(c, runs[k], at, styles[k], box, 6);
    }
    const { path, end } = runs[focus];
    const t = Math.min(step, end);
    const split = state.curve === "split" ? parts(runs[focus], told, t) : null;
    if (split) {
      const [[x0, x1], [y0, y1]] = this.window;
      const moves = split.map(([u, v]): [number, number] => [(u / (x1 - x0)) * width, (-v / (y1 - y0)) * height]);
      arrows(c, look, at(path[2 * t - 2], path[2 * t - 1]), moves, PARTS);
    }
    diamond(c, at(path[2 * t], path[2 * t + 1]), 8, styles[focus].colour, look.panel);
  }
}

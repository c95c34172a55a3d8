// Colours of the theme that is in force, and each method's line.

import type { Method } from "./engine";
import type { Data } from "./types";

export interface Line {
  colour: string;
  dash: number[];
}

export interface Theme {
  dark: boolean;
  ink: string;
  muted: string;
  grid: string;
  panel: string;
  water: string;
  accent: string;
  /** Of what was pinned. */
  ghost: string;
}

export function theme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const token = (n: string) => style.getPropertyValue(`--${n}`).trim();
  return {
    dark: style.colorScheme.trim() === "dark",
    ink: token("ink"),
    muted: token("muted"),
    grid: token("grid"),
    panel: token("panel"),
    water: token("water"),
    accent: token("accent"),
    ghost: token("muted"),
  };
}

/** Each method's colour and dash; methods of one rule share its colour and differ in the dash. */
export function lines(data: Data, methods: Method[], dark: boolean): Line[] {
  const more = [[], [7, 3], [2, 2.5], [9, 3, 2, 3], [12, 4]];
  const uses = new Map<string, number>();
  return methods.map((m) => {
    const look = data.rules[m.rule].look;
    const use = uses.get(m.rule) ?? 0;
    uses.set(m.rule, use + 1);
    const dash = use ? more.filter((d) => d.join() !== look.dash.join())[(use - 1) % 4] : look.dash;
    return { colour: dark ? look.dark : look.light, dash };
  });
}

const sizes = new WeakMap<Element, [number, number]>();

/** A canvas' box, read once: to ask for it between changes of the page would lay the page out each time. */
export function sized(canvas: HTMLCanvasElement): [number, number] {
  let size = sizes.get(canvas);
  if (!size) sizes.set(canvas, (size = [canvas.clientWidth, canvas.clientHeight]));
  return size;
}

/** Read a canvas' box again when it is next drawn. */
export function resized(canvas: HTMLCanvasElement): void {
  sizes.delete(canvas);
}

/** Size a canvas to its box at the screen's resolution; its context in CSS pixels, cleared. */
export function fitted(canvas: HTMLCanvasElement): { c: CanvasRenderingContext2D; width: number; height: number } {
  const [width, height] = sized(canvas);
  const ratio = window.devicePixelRatio || 1;
  const [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== t) {
    canvas.width = w;
    canvas.height = t;
  }
  const c = canvas.getContext("2d")!;
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  return { c, width, height };
}

/** The width of lines beside the focused one: what is no wider than a pixel is drawn without its outline, six times as fast without a GPU. */
export const THIN = 1;

export const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** Draw the cross of a run that diverged about a point, in the stroke that is set. */
export function crossed(c: CanvasRenderingContext2D, x: number, y: number, half: number, width: number): void {
  c.lineWidth = width;
  c.beginPath();
  c.moveTo(x - half, y - half);
  c.lineTo(x + half, y + half);
  c.moveTo(x + half, y - half);
  c.lineTo(x - half, y + half);
  c.stroke();
}

// The start as a handle on the map: dragged, placed by a click, moved by keys.

import { h, shown } from "./dom";
import { sized } from "./look";
import type { Map2 } from "./map";
import type { Page } from "./page";

const FINE = 1e4; // parts of the window: a start lies on a grid of about that many, to read and travel well

export class Handle {
  readonly element = h("div", { class: "handle", tabindex: 0, role: "slider", "aria-roledescription": "point in the plane" });

  constructor(private readonly page: Page, private readonly map: Map2, private readonly front: HTMLCanvasElement) {
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  /** Follow pointers on the square that map and handle stand in. */
  listen(square: HTMLElement): void {
    const move = (event: PointerEvent) => {
      const box = this.front.getBoundingClientRect();
      this.put(...this.map.toPoint(inside(event.clientX - box.left, box.width), inside(event.clientY - box.top, box.height)));
    };
    square.addEventListener("pointerdown", (event) => {
      // A finger on the map scrolls the page; on the handle it drags, and a tap places the start.
      if (event.button !== 0 || (event.pointerType === "touch" && event.target !== this.element)) return;
      event.preventDefault();
      square.setPointerCapture(event.pointerId);
      this.element.focus({ preventScroll: true });
      move(event);
      square.addEventListener("pointermove", move);
      const done = () => square.removeEventListener("pointermove", move);
      square.addEventListener("pointerup", done, { once: true });
      square.addEventListener("pointercancel", done, { once: true });
    });
    square.addEventListener("click", (event) => {
      if ((event as PointerEvent).pointerType === "touch" && event.target !== this.element) move(event as PointerEvent);
    });
  }

  private put(x: number, y: number): void {
    const [[x0, x1], [y0, y1]] = this.page.window;
    this.page.change({ start: [tidy(x, (x1 - x0) / FINE), tidy(y, (y1 - y0) / FINE)] });
  }

  private key(event: KeyboardEvent): void {
    const [[x0, x1], [y0, y1]] = this.page.window;
    const share = event.shiftKey ? 0.1 : 0.01;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
    const [x, y] = this.page.state.start;
    if (event.key === "Home") this.page.change({ start: this.page.problem.starts[0] });
    else if (dx || dy)
      this.put(Math.max(x0, Math.min(x1, x + dx * share * (x1 - x0))), Math.max(y0, Math.min(y1, y + dy * share * (y1 - y0))));
    else return;
    event.preventDefault();
  }

  fill(): void {
    const [x, y] = this.map.toPixels(...this.page.state.start);
    const [width, height] = sized(this.front);
    this.element.style.transform = `translate(${inside(x, width)}px, ${inside(y, height)}px)`;
  }

  settle(): void {
    const [x, y] = this.page.state.start;
    const [[x0, x1]] = this.page.window;
    const [nx, ny] = this.page.problem.names;
    for (const [n, value] of Object.entries({
      "aria-label": "Start", "aria-valuemin": x0, "aria-valuemax": x1, "aria-valuenow": x, "aria-valuetext": `${nx} ${shown(x)}, ${ny} ${shown(y)}`,
    })) this.element.setAttribute(n, String(value));
  }
}

function inside(v: number, size: number): number {
  return Math.max(0, Math.min(size, v));
}

/** A number on a grid of decimals about this fine. */
function tidy(value: number, fine: number): number {
  const digits = Math.max(0, Math.min(20, Math.ceil(-Math.log10(fine))));
  return Number(value.toFixed(digits)) + 0;
}

// What the parts of the page know of each other: what is shown, and how it is changed.

import type { Account, Run } from "./engine";
import { sized, resized } from "./look";
import type { Line, Theme } from "./look";
import type { State } from "./state";
import type { Surface } from "./surface";
import type { Data, Problem, Window } from "./types";

export interface Page {
  readonly data: Data;
  readonly state: State;
  readonly problem: Problem;
  readonly surface: Surface;
  /** What the map shows. */
  readonly window: Window;
  readonly look: Theme;
  /** Of the methods that are shown: runs, lines, and names that no two share. */
  readonly runs: Run[];
  readonly styles: Line[];
  readonly names: string[];
  /** What happened in the run of the method in focus. */
  readonly told: Account;
  /** The largest stable rate times curvature of the method in focus; null where none is known. */
  readonly limit: number | null;
  /** Runs that were pinned. */
  readonly ghosts: Run[];
  /** The lowest value known before anything has run. */
  readonly floor: number;
  /** Take over changes of the state; `ground` where the surface or its window is another. */
  change(changes: Partial<State>, ground?: boolean): void;
  /** Set one value of a method; whether it takes it. */
  setValue(k: number, name: string, value: number): boolean;
  /** Say what could not be done; "" takes back what was said. */
  tell(text: string): void;
}

const REACH = "200px"; // beyond the screen's edge, so that what is scrolled to is there

/** What is in sight: no other canvas is drawn, no other table filled while things move. */
export class Sight {
  private readonly seen = new Set<Element>();
  private everything = false;
  private readonly observer: IntersectionObserver;

  constructor(private readonly page: Page) {
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.seen[isIntersecting ? "add" : "delete"](target);
      if (entries.some((e) => e.isIntersecting)) page.change({});
    }, { rootMargin: REACH });
  }

  /** Watch a canvas: it is drawn anew where it comes into sight or its box is another. */
  watch(canvas: HTMLCanvasElement, resizedTo = () => {}): void {
    this.observer.observe(canvas);
    new ResizeObserver(() => {
      resized(canvas);
      resizedTo();
      this.page.change({});
    }).observe(canvas);
  }

  /** Follow whether any other element is in sight. */
  follow(element: Element): void {
    this.observer.observe(element);
  }

  /** Do something as if all were in sight, such as printing. */
  whole(act: () => void): void {
    this.everything = true;
    act();
    this.everything = false;
  }

  has(element: Element): boolean {
    return (this.everything || this.seen.has(element)) && !(element instanceof HTMLCanvasElement && sized(element)[0] <= 0);
  }
}

// Taking it away: a link, a program, tables and pictures.

import { program, table } from "./code";
import { button, h, save, say } from "./dom";
import type { Page } from "./page";
import { toHash } from "./state";

const REFUSED = "The browser does not allow copying here";

export class Share {
  private readonly code = h("pre", { tabindex: 0 });
  private readonly copied = h("span", { class: "copied", role: "status" });
  readonly coded = h("details", { class: "coded" }, h("summary", {}, "Python that repeats these paths"), this.code);
  readonly actions: HTMLElement;

  /** `svg` and `png` draw the map. */
  constructor(private readonly page: Page, svg: () => string, png: () => HTMLCanvasElement, ...more: HTMLElement[]) {
    const link = button("Copy link", () => this.copy(location.href.split("#")[0] + toHash(page.data, page.state), "Link copied"));
    link.hidden = /^(about|blob):$/.test(location.protocol); // a page within a page has no address to send
    this.actions = h("div", { class: "actions" },
      link,
      button("Copy Python", () => {
        this.coded.open = true;
        this.copy(this.python(), "Python copied");
      }, "A program that prints these very paths"),
      button("CSV", () => save("paths.csv", "text/csv", this.csv())),
      button("PNG", () => png().toBlob((blob) => blob && save("paths.png", "image/png", blob))),
      button("SVG", () => save("paths.svg", "image/svg+xml", svg())),
      ...more, this.copied);
    this.coded.addEventListener("toggle", () => page.change({}));
  }

  python(): string {
    return program(this.page.data, this.page.state, this.page.surface);
  }

  csv(): string {
    return table(this.page.state.methods, this.page.runs, this.page.problem.names);
  }

  fill(): void {
    if (this.coded.open) say(this.code, this.python());
  }

  private copy(text: string, done: string): void {
    const tell = (words: string) => (this.copied.textContent = words);
    if (!navigator.clipboard) return void tell(REFUSED);
    navigator.clipboard.writeText(text).then(() => tell(done), () => tell(REFUSED));
  }
}

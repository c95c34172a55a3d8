// The keys, in a dialog that `?` opens.

import { button, h } from "./dom";

const KEYS: [string[], string][] = [
  [["←", "→", "↑", "↓"], "move the start by a hundredth of the window, when it has the focus"],
  [["Shift", "←"], "and the other arrows: ten times as far"],
  [["Home"], "the usual start"],
  [["["], "one step back"],
  [["]"], "one step on"],
  [["1", "…", "9"], "put a method in focus"],
  [["P"], "keep the present paths in grey, or let them go"],
  [["R"], "back to what the page was made with"],
  [["?"], "these keys"],
];

export class Help {
  readonly button = button("Keys", () => this.open(), "What the keys do (?)");
  readonly element = h("dialog", { class: "help", "aria-labelledby": "keys" },
    h("h2", { id: "keys" }, "Keys"),
    h("table", {}, h("tbody", {}, ...KEYS.map(([keys, text]) =>
      h("tr", {}, h("th", { scope: "row" }, ...keys.map((key) => (key === "…" ? " … " : h("kbd", {}, key)))), h("td", {}, text))))),
    h("p", {}, "Dragging or a click moves the start, too. ✕ marks where a run diverged."),
    h("form", { method: "dialog" }, h("button", {}, "Close")));

  /** Open the dialog; the browser gives the focus back where it was. */
  open(): void {
    if (!this.element.open) this.element.showModal();
  }
}

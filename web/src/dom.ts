// Elements, in one line each.

type Child = Node | string | null | undefined;
type Listener = (event: Event) => void;

/** An element; attributes that begin with "on" are listeners, true is an empty attribute, false and null none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | boolean | null | Listener> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [n, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(n.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(n, value === true ? "" : String(value));
  }
  element.append(...children.filter((c): c is Node | string => c !== null && c !== undefined));
  return element;
}

/** A number as people read it: four digits, a real minus. */
export function shown(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 2).replace(/\.?0+e/, "e");
  return text.replace("e+", "e").replaceAll("-", "−");
}

/** Offer a file to save. */
export function save(name: string, type: string, content: BlobPart): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Set an element's words, only where they are others: the page is laid out again for each that is set. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Set a control's value unless the user is in it; whether it was set. */
export function set(control: HTMLInputElement | HTMLSelectElement, value: string): boolean {
  const typing = control === document.activeElement && control instanceof HTMLInputElement && control.type !== "range";
  if (typing || control.value === value) return false;
  control.value = value;
  return true;
}

/** Give a select these options, unless it has them, and choose one. */
export function offer(select: HTMLSelectElement, values: string[], chosen: string, title = (value: string) => value): void {
  if (select.dataset.of !== values.join()) {
    select.dataset.of = values.join();
    select.replaceChildren(...values.map((value) => h("option", { value }, title(value))));
  }
  select.value = chosen;
}

/** A control under its name. */
export function label(text: string, control: HTMLElement, kind = ""): HTMLLabelElement {
  return h("label", { class: kind }, h("span", {}, text), control);
}

export function button(text: string, act: () => void, title = ""): HTMLButtonElement {
  return h("button", { type: "button", onclick: act, title }, text);
}

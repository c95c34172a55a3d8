// The page as a Python program that repeats it, and as a table.

import type { Method, Run } from "./engine";
import { pythonNumber } from "./expression";
import { changes, methodName, type State } from "./state";
import type { Surface } from "./surface";
import type { Data } from "./types";

export function ruleCode(data: Data, method: Method): string {
  const { python } = data.rules[method.rule];
  const settings = [
    ...changes(data, method).map(([n, v]) => `${n}=${pythonNumber(v).replace(/^\((.*)\)$/, "$1")}`),
    ...Object.entries(method.schedules).map(([n, s]) => `${n}=${s.text}`),
  ];
  if (!method.dialect) return `${python.name}(${settings.join(", ")})`;
  return `${python.name}.like(${[JSON.stringify(method.dialect), ...settings].join(", ")})`;
}

/** Names of the methods that no two share. */
export function labels(methods: Method[]): string[] {
  const seen = new Map<string, number>();
  return methods.map((m) => {
    const name = methodName(m);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count > 1 ? `${name} (${count})` : name;
  });
}

const SAID = {
  bits: "It prints the page's numbers to the last bit, where the method's clock has no power in it.",
  steps: "Functions such as exp differ between browsers and Python in the last place; chaotic paths part there.",
  not: "The page interpolates between samples of the function; this runs the function itself.",
};

export function program(data: Data, state: State, surface: Surface): string {
  const lines = surface.python();
  const more = state.methods.flatMap((m) => [
    data.rules[m.rule].python.imports,
    ...Object.values(m.schedules).map((s) => s.imports),
  ]);
  const names = labels(state.methods);
  return [
    `"""Paths as the explorer of thalweg ${data.version} shows them, a row a step: method, step, x, y.`,
    "",
    SAID[surface.exact],
    '"""',
    "",
    "import numpy as np",
    "",
    "import thalweg as tw",
    ...[...new Set(more)].filter(Boolean).sort(),
    "",
    "",
    ...lines,
    "",
    "",
    "methods = {",
    ...state.methods.map((m, k) => `    ${JSON.stringify(names[k])}: ${ruleCode(data, m)},`),
    "}",
    "for name, rule in methods.items():",
    `    w = np.array([${state.start.map((v) => pythonNumber(v)).join(", ")}])`,
    '    optimizer = rule.on(w, on_nonfinite="propagate")',
    '    with np.errstate(all="ignore"):',
    `        for step in range(${state.steps + 1}):`,
    "            if not np.isfinite(w).all():",
    "                break",
    "            print(name, step, *map(float, w), sep=chr(9))",
    "            optimizer.step(gradient(w))",
    "",
  ].join("\n");
}

/** All paths as CSV: method, step, x, y, f. */
export function table(methods: Method[], runs: Run[], names: [string, string]): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = [["method", "step", ...names, "f"].map(quoted).join(",")];
  labels(methods).forEach((name, k) => {
    const { path, loss, end } = runs[k];
    for (let t = 0; t <= end; t++) rows.push(`${quoted(name)},${t},${path[2 * t]},${path[2 * t + 1]},${loss[t]}`);
  });
  return rows.join("\n") + "\n";
}

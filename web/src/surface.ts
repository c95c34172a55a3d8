// A landscape as the page computes it: printed by the library, typed, or sampled and interpolated.

import { Expression } from "./expression";
import type { Formula, Printed, Problem, Sampled } from "./types";

export interface Surface {
  value(x: number, y: number): number;
  /** The gradient at p, into g. */
  gradient(p: Float64Array, g: Float64Array): void;
  /** xx, xy, yy into h; false where none is known. */
  hessian(x: number, y: number, h: Float64Array): boolean;
  /** How the numbers of the exported program relate to the page's. */
  readonly exact: "bits" | "steps" | "not";
  /** Lines of Python that define gradient(w) for w (2,); they know np and tw. */
  python(): string[];
}

/** Mean over rows, each with its count; the formula itself where there are none. */
function mean(formula: Formula, rows: number[][], size: number): (p: Float64Array, out: Float64Array) => void {
  if (!rows.length) return (p, out) => formula(p, [], out);
  const part = new Float64Array(size);
  const total = rows.reduce((sum, row) => sum + row[row.length - 1], 0);
  return (p, out) => {
    out.fill(0);
    for (const row of rows) {
      formula(p, row, part);
      for (let k = 0; k < size; k++) out[k] += row[row.length - 1] * part[k];
    }
    for (let k = 0; k < size; k++) out[k] /= total;
  };
}

const LIBM = /\b(exp|log|expm1|log1p|cos|sin|tanh|power|raised|rooted)\(/;

function printed(source: Printed): Surface {
  const value = source.mean
    ? (p: Float64Array, out: Float64Array) => source.mean!(p, [], out)
    : mean(source.value, source.rows, 1);
  const gradient = mean(source.gradient, source.rows, 2);
  const hessian = source.hessian && mean(source.hessian, source.rows, 3);
  const point = new Float64Array(2);
  const one = new Float64Array(1);
  const exact = source.rows.length || LIBM.test(source.gradient.toString()) ? "steps" : "bits";
  return {
    exact,
    value(x, y) {
      point[0] = x;
      point[1] = y;
      value(point, one);
      return one[0];
    },
    gradient,
    hessian(x, y, h) {
      if (!hessian) return false;
      point[0] = x;
      point[1] = y;
      hessian(point, h);
      return true;
    },
    python: () => source.python,
  };
}

function typed(text: string, names: [string, string]): Surface {
  const expression = new Expression(text, names);
  const one = new Float64Array(1);
  return {
    exact: expression.gradient.libm ? "steps" : "bits",
    value(x, y) {
      expression.value.run(x, y, one);
      return one[0];
    },
    gradient(p, g) {
      expression.gradient.run(p[0], p[1], g);
    },
    hessian(x, y, h) {
      expression.hessian.run(x, y, h);
      return true;
    },
    python() {
      const said = text.replace(/\s+/g, " ").replace(/[\\"]/g, "'");
      return [
        "def slopes(x, y):",
        `    """The derivatives of ${said}."""`,
        ...expression.gradient.python().map((line) => `    ${line}`),
        "",
        "",
        "def gradient(w):",
        "    return np.array(slopes(*w), dtype=float)",
      ];
    },
  };
}

/** Float32 numbers of a base64 text. */
export function decoded(base64: string): Float32Array {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function sampled(source: Sampled, [[x0, x1], [y0, y1]]: Problem["window"]): Surface {
  const n = source.size;
  const data = decoded(source.data);
  /** One of the three tables, bilinear between its points; NaN outside. */
  const at = (table: number, x: number, y: number): number => {
    const u = ((x - x0) / (x1 - x0)) * (n - 1);
    const v = ((y - y0) / (y1 - y0)) * (n - 1);
    if (!(u >= 0 && v >= 0 && u <= n - 1 && v <= n - 1)) return NaN;
    const i = Math.min(Math.floor(u), n - 2);
    const j = Math.min(Math.floor(v), n - 2);
    const k = table * n * n + j * n + i;
    const [a, b] = [u - i, v - j];
    return (1 - b) * ((1 - a) * data[k] + a * data[k + 1]) + b * ((1 - a) * data[k + n] + a * data[k + n + 1]);
  };
  return {
    exact: "not",
    value: (x, y) => at(0, x, y),
    gradient(p, g) {
      g[0] = at(1, p[0], p[1]);
      g[1] = at(2, p[0], p[1]);
    },
    hessian: () => false,
    python: () => source.python,
  };
}

/** Throws ExpressionError for a typed function that is none. */
export function surfaceOf(problem: Problem): Surface {
  const { surface } = problem;
  if (surface.kind === "printed") return printed(surface);
  if (surface.kind === "typed") return typed(surface.expression, problem.names);
  return sampled(surface, problem.window);
}

import { describe, expect, it } from "vitest";
import { Expression, ExpressionError } from "../src/expression";

const one = new Float64Array(1);
const two = new Float64Array(2);
const three = new Float64Array(3);

function value(text: string, x = 0.7, y = -1.3): number {
  new Expression(text).value.run(x, y, one);
  return one[0];
}

describe("a typed function", () => {
  const [x, y] = [0.7, -1.3];
  it.each<[string, number]>([
    ["1 + 2*3", 7],
    ["-x**2", -(x * x)],
    ["2^3^2", 512],
    ["x - y - 1", x - y - 1],
    ["x / y / 2", x / y / 2],
    ["2**-2", 0.25],
    ["-2**2", -4],
    ["1e-3 + .5 + 2.", 2.501],
    ["pi*e", Math.PI * Math.E],
    ["max(x, y) + min(x, y)", x + y],
    ["abs(y) + sign(y)", 1.3 - 1],
    ["sqrt(x) * x**0.5", Math.sqrt(x) * Math.sqrt(x)],
    ["where(x < 0, 1, where(y <= 0, 2, 3))", 2],
    ["ratio(x, 0) + ratio(1, 4)", 0.25],
    ["x**3", x * x * x],
    ["floor(-0.5) + floor(y)", -3],
    ["x² + 10·y²", x * x + 10 * (y * y)],
    ["2×x⁻² − π÷4", 2 / (x * x) - Math.PI / 4],
    ["x¹² + where(x ≤ y, 1, ln(x))", x ** 12 + Math.log(x)],
    ["-x²", -(x * x)],
  ])("%s", (text, wanted) => expect(value(text)).toBe(wanted));

  it.each([
    "x**2 + 10*y**2 + sin(3*x)", "exp(-x*x) * cos(y)", "log(1 + x**2) / (2 + tanh(y))", "abs(x) * sqrt(1 + y*y)",
    "max(x, 2*y) * min(x*x, y)", "x**2.5 + 2**y + x**y * (0.3 + x)", "expm1(x) - log1p(x*x) + y**-3",
    "where(x > y, x*y, y*y)", "(x + y)**5 / (1 + x**4)",
  ])("has the derivatives of %s", (text) => {
    const f = new Expression(text);
    const h = 1e-5;
    for (const [x, y] of [[0.7, 1.3], [1.9, 0.4]]) {
      const at = (tape: Expression["value"], out: Float64Array, a: number, b: number) => (tape.run(a, b, out), [...out]);
      const [gx, gy] = at(f.gradient, two, x, y);
      expect(gx).toBeCloseTo((at(f.value, one, x + h, y)[0] - at(f.value, one, x - h, y)[0]) / (2 * h), 5);
      expect(gy).toBeCloseTo((at(f.value, one, x, y + h)[0] - at(f.value, one, x, y - h)[0]) / (2 * h), 5);
      const [xx, xy, yy] = at(f.hessian, three, x, y);
      const [right, left] = [at(f.gradient, two, x + h, y), at(f.gradient, two, x - h, y)];
      expect(xx).toBeCloseTo((right[0] - left[0]) / (2 * h), 4);
      expect(xy).toBeCloseTo((right[1] - left[1]) / (2 * h), 4);
      expect(yy).toBeCloseTo((at(f.gradient, two, x, y + h)[1] - at(f.gradient, two, x, y - h)[1]) / (2 * h), 4);
    }
  });

  it.each<[string, number, RegExp]>([
    ["", 0, /needed before the end/],
    ["x +", 3, /needed before the end/],
    ["x² + 2y", 6, /write \* before y/],
    ["²", 0, /needed before/],
    ["2x", 1, /write \* before x/],
    ["x y", 2, /write \* before y/],
    ["(x", 2, /\) is needed/],
    ["x)", 1, /not expected/],
    ["z + 1", 0, /z is not known: x, y, pi/],
    ["constructor(x)", 0, /constructor is not known/],
    ["toString", 0, /toString is not known/],
    ["sin(x, y)", 3, /sin takes 1, got 2/],
    ["where(x, 1, 2)", 7, /comparison/],
    ["x < 1", 2, /not expected/],
    ["x = 1", 2, /no part of a formula/],
    ["alert`1`", 5, /no part of a formula/],
    ["(".repeat(200), 100, /100/],
    ["-".repeat(200) + "x", 100, /100/],
  ])("%s is refused at the place", (text, at, message) => {
    try {
      new Expression(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ExpressionError);
      expect((error as ExpressionError).message).toMatch(message);
      expect((error as ExpressionError).at).toBe(at);
    }
  });

  it("knows where the library of the machine has a part", () => {
    expect(new Expression("x**4 + sqrt(abs(y))").gradient.libm).toBe(false);
    expect(new Expression("x + sin(y)").gradient.libm).toBe(true);
  });
});

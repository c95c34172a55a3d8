// A typed function of x and y: parsed, differentiated and run as straight-line code; never evaluated as JavaScript.
//
// Expressions are nodes of a graph in which equal ones are one node. A `Tape` is the part that some outputs need, in
// order; it runs on numbers, and prints itself as Python with the same operations in the same order.

const UNARY = ["neg", "exp", "log", "expm1", "log1p", "cos", "sin", "tanh", "abs", "sqrt", "floor"] as const;
const BINARY = ["+", "-", "*", "/", "pow", "<", "<=", "==", "!="] as const;
type Op = "number" | "x" | "y" | "where" | (typeof UNARY)[number] | (typeof BINARY)[number];

interface Node {
  op: Op;
  args: number[];
  value: number;
}

const CONSTANTS: Record<string, number> = { pi: Math.PI, e: Math.E };
const FUNCTIONS: Record<string, number> = {
  ...Object.fromEntries(UNARY.filter((n) => n !== "neg").map((n) => [n, 1])),
  min: 2, max: 2, minimum: 2, maximum: 2, sign: 1, ratio: 2, where: 3,
};
const WHOLE_POWERS = 64; // up to here a whole power is a product, as in the library's formulas

export class ExpressionError extends Error {
  constructor(
    readonly at: number,
    message: string,
  ) {
    super(message);
  }
}

export class Graph {
  readonly nodes: Node[] = [];
  private readonly known = new Map<string, number>();
  private readonly derivatives = new Map<string, number>();

  private add(op: Op, args: number[] = [], value = 0): number {
    const key = op === "number" ? `#${Object.is(value, -0) ? "-0" : value}` : `${op} ${args.join(" ")}`;
    let id = this.known.get(key);
    if (id === undefined) {
      id = this.nodes.push({ op, args, value }) - 1;
      this.known.set(key, id);
    }
    return id;
  }

  number(value: number): number {
    return this.add("number", [], value);
  }

  variable(name: "x" | "y"): number {
    return this.add(name);
  }

  private constant(id: number): number | null {
    return this.nodes[id].op === "number" ? this.nodes[id].value : null;
  }

  private is(id: number, value: number): boolean {
    return this.constant(id) === value;
  }

  plus(a: number, b: number): number {
    return this.is(a, 0) ? b : this.is(b, 0) ? a : this.binary("+", a, b);
  }

  minus(a: number, b: number): number {
    return this.is(b, 0) ? a : this.is(a, 0) ? this.unary("neg", b) : this.binary("-", a, b);
  }

  times(a: number, b: number): number {
    if (this.is(a, 0) || this.is(b, 0)) return this.number(0);
    return this.is(a, 1) ? b : this.is(b, 1) ? a : this.binary("*", a, b);
  }

  over(a: number, b: number): number {
    return this.is(a, 0) && !this.is(b, 0) ? a : this.is(b, 1) ? a : this.binary("/", a, b);
  }

  power(a: number, b: number): number {
    const n = this.constant(b);
    if (n === 0) return this.number(1);
    if (n === 0.5) return this.unary("sqrt", a);
    if (n !== null && Number.isInteger(n) && Math.abs(n) <= WHOLE_POWERS)
      return n > 0 ? this.product(a, n) : this.over(this.number(1), this.product(a, -n));
    return this.binary("pow", a, b);
  }

  private product(a: number, n: number): number {
    if (n === 1) return a;
    const half = this.product(a, n >> 1);
    const square = this.times(half, half);
    return n % 2 ? this.times(square, a) : square;
  }

  unary(op: (typeof UNARY)[number], a: number): number {
    const value = this.constant(a);
    return value === null ? this.add(op, [a]) : this.number(apply(op, value, 0));
  }

  private binary(op: (typeof BINARY)[number], a: number, b: number): number {
    const [left, right] = [this.constant(a), this.constant(b)];
    return left !== null && right !== null ? this.number(apply(op, left, right)) : this.add(op, [a, b]);
  }

  compare(op: string, a: number, b: number): number {
    if (op === ">") return this.binary("<", b, a);
    if (op === ">=") return this.binary("<=", b, a);
    return this.binary(op as "<" | "<=" | "==" | "!=", a, b);
  }

  where(condition: number, a: number, b: number): number {
    const known = this.constant(condition);
    return known !== null ? (known ? a : b) : a === b ? a : this.add("where", [condition, a, b]);
  }

  sign(a: number): number {
    const [zero, one] = [this.number(0), this.number(1)];
    return this.where(this.compare(">", a, zero), one, this.where(this.compare("<", a, zero), this.number(-1), zero));
  }

  /** The derivative of a node by x or y, a node itself. */
  derivative(id: number, by: "x" | "y"): number {
    const key = `${id} ${by}`;
    let result = this.derivatives.get(key);
    if (result === undefined) {
      result = this.differentiated(id, by);
      this.derivatives.set(key, result);
    }
    return result;
  }

  private differentiated(id: number, by: "x" | "y"): number {
    const { op, args } = this.nodes[id];
    const [a, b] = args;
    const d = (n: number) => this.derivative(n, by);
    const one = this.number(1);
    switch (op) {
      case "x":
      case "y":
        return this.number(op === by ? 1 : 0);
      case "number":
      case "floor":
      case "<":
      case "<=":
      case "==":
      case "!=":
        return this.number(0);
      case "where":
        return this.where(a, d(b), d(args[2]));
      case "neg":
        return this.minus(this.number(0), d(a));
      case "+":
        return this.plus(d(a), d(b));
      case "-":
        return this.minus(d(a), d(b));
      case "*":
        if (a === b) return this.times(this.times(this.number(2), a), d(a));
        return this.plus(this.times(d(a), b), this.times(a, d(b)));
      case "/":
        return this.over(this.minus(d(a), this.times(id, d(b))), b);
      case "pow": {
        const rest = this.is(d(b), 0)
          ? this.number(0)
          : this.times(this.times(id, this.unary("log", a)), d(b));
        if (this.is(d(a), 0)) return rest;
        return this.plus(this.times(this.times(b, this.power(a, this.minus(b, one))), d(a)), rest);
      }
      case "exp":
        return this.times(id, d(a));
      case "expm1":
        return this.times(this.unary("exp", a), d(a));
      case "log":
        return this.over(d(a), a);
      case "log1p":
        return this.over(d(a), this.plus(one, a));
      case "cos":
        return this.times(this.unary("neg", this.unary("sin", a)), d(a));
      case "sin":
        return this.times(this.unary("cos", a), d(a));
      case "tanh":
        return this.times(this.minus(one, this.times(id, id)), d(a));
      case "abs":
        return this.times(this.sign(a), d(a));
      case "sqrt":
        return this.over(d(a), this.times(this.number(2), id));
    }
  }
}

function apply(op: Op, a: number, b: number): number {
  switch (op) {
    case "neg": return -a;
    case "+": return a + b;
    case "-": return a - b;
    case "*": return a * b;
    case "/": return a / b;
    case "pow": return a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b;
    case "<": return +(a < b);
    case "<=": return +(a <= b);
    case "==": return +(a === b);
    case "!=": return +(a !== b);
    case "exp": return Math.exp(a);
    case "log": return Math.log(a);
    case "expm1": return Math.expm1(a);
    case "log1p": return Math.log1p(a);
    case "cos": return Math.cos(a);
    case "sin": return Math.sin(a);
    case "tanh": return Math.tanh(a);
    case "abs": return Math.abs(a);
    case "sqrt": return Math.sqrt(a);
    case "floor": return Math.floor(a) + 0;
  }
  throw new Error(op);
}

const LIBM = new Set<Op>(["exp", "log", "expm1", "log1p", "cos", "sin", "tanh", "pow"]);

/** Some nodes of a graph as straight-line code. */
export class Tape {
  private readonly ops: Op[] = [];
  private readonly args: Int32Array;
  private readonly values: Float64Array;
  private readonly outputs: Int32Array;
  /** Whether anything is called that IEEE does not define, so that browsers may differ in the last place. */
  readonly libm: boolean;

  constructor(graph: Graph, outputs: number[]) {
    const needed = new Set<number>();
    const need = (id: number): void => {
      if (needed.has(id)) return;
      needed.add(id);
      graph.nodes[id].args.forEach(need);
    };
    outputs.forEach(need);
    const order = [...needed].sort((a, b) => a - b);
    const place = new Map(order.map((id, k) => [id, k]));
    this.args = new Int32Array(3 * order.length);
    this.values = new Float64Array(order.length);
    order.forEach((id, k) => {
      const { op, args, value } = graph.nodes[id];
      this.ops.push(op);
      args.forEach((a, j) => (this.args[3 * k + j] = place.get(a)!));
      this.values[k] = value;
    });
    this.outputs = Int32Array.from(outputs.map((id) => place.get(id)!));
    this.libm = this.ops.some((op) => LIBM.has(op));
  }

  run(x: number, y: number, out: Float64Array): void {
    const { ops, args, values, outputs } = this;
    for (let k = 0; k < ops.length; k++) {
      const a = values[args[3 * k]];
      const b = values[args[3 * k + 1]];
      switch (ops[k]) {
        case "number": break;
        case "x": values[k] = x; break;
        case "y": values[k] = y; break;
        case "+": values[k] = a + b; break;
        case "-": values[k] = a - b; break;
        case "*": values[k] = a * b; break;
        case "/": values[k] = a / b; break;
        case "where": values[k] = a ? b : values[args[3 * k + 2]]; break;
        default: values[k] = apply(ops[k], a, b);
      }
    }
    for (let j = 0; j < outputs.length; j++) out[j] = values[outputs[j]];
  }

  /** The tape as the body of a Python function of x and y, NumPy's float64, that returns its outputs. */
  python(): string[] {
    const names: string[] = [];
    const lines: string[] = [];
    this.ops.forEach((op, k) => {
      const [a, b, c] = [0, 1, 2].map((j) => names[this.args[3 * k + j]]);
      if (op === "number") names.push(pythonNumber(this.values[k]));
      else if (op === "x" || op === "y") names.push(op);
      else {
        const text =
          op === "neg" ? `-${a}`
          : op === "where" ? `${b} if ${a} else ${c}`
          : op === "pow" ? `np.power(${a}, ${b})`
          : (BINARY as readonly string[]).includes(op) ? `${a} ${op} ${b}`
          : `np.${op}(${a})`;
        names.push(`t${k}`);
        lines.push(`t${k} = ${text}`);
      }
    });
    return [...lines, `return ${[...this.outputs].map((k) => names[k]).join(", ")}`];
  }
}

export function pythonNumber(value: number): string {
  const text = Object.is(value, -0) ? "-0.0" : String(value);
  const whole = /^-?\d+$/.test(text) ? `${text}.0` : text;
  return value < 0 || Object.is(value, -0) ? `(${whole})` : whole;
}

/** A function of two names, with its gradient and Hessian. */
export class Expression {
  readonly value: Tape;
  readonly gradient: Tape;
  readonly hessian: Tape;

  /** Throws ExpressionError with the place and the remedy. */
  constructor(
    readonly text: string,
    names: [string, string] = ["x", "y"],
  ) {
    const graph = new Graph();
    const f = new Parser(text, graph, names).whole();
    const [gx, gy] = (["x", "y"] as const).map((n) => graph.derivative(f, n));
    const second = [
      graph.derivative(gx, "x"),
      graph.derivative(gx, "y"),
      graph.derivative(gy, "y"),
    ];
    this.value = new Tape(graph, [f]);
    this.gradient = new Tape(graph, [gx, gy]);
    this.hessian = new Tape(graph, second);
  }
}

interface Token {
  kind: "number" | "name" | "sign" | "end";
  text: string;
  at: number;
}

const LONGEST = 4000;

// What books and word processors write, as it is read here.
const WRITTEN: Record<string, string> = {
  "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "≤": "<=", "≥": ">=", "≠": "!=",
  "π": "pi", "ln": "log",
};
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function tokens(text: string): Token[] {
  const found: Token[] = [];
  if (text.length > LONGEST) throw new ExpressionError(LONGEST, `longer than ${LONGEST} characters`);
  const pattern = /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*|π)|(⁻?[⁰¹²³⁴-⁹]+)|(\*\*|<=|>=|==|!=|[-+*/^()<>,×·⋅∗÷∕−–≤≥≠]))/y;
  let at = 0;
  while (at < text.trimEnd().length) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (!match) {
      const where = at + text.slice(at).search(/\S/);
      throw new ExpressionError(where, `${JSON.stringify(text[where])} is no part of a formula`);
    }
    const [, number, name, raised, sign] = match;
    const written = number ?? name ?? raised ?? sign;
    const place = pattern.lastIndex - written.length;
    if (raised) {
      const digits = [...raised].map((c) => (c === "⁻" ? "-" : RAISED.indexOf(c))).join("");
      const power: [Token["kind"], string][] = [["sign", "^"], ["sign", "("]];
      if (digits[0] === "-") power.push(["sign", "-"]);
      power.push(["number", digits.replace("-", "")], ["sign", ")"]);
      found.push(...power.map(([kind, text]) => ({ kind, text, at: place })));
    } else {
      const kind = number ? "number" : name ? "name" : "sign";
      found.push({ kind, text: Object.hasOwn(WRITTEN, written) ? WRITTEN[written] : written, at: place });
    }
    at = pattern.lastIndex;
  }
  found.push({ kind: "end", text: "the end", at: text.length });
  return found;
}

class Parser {
  private readonly tokens: Token[];
  private k = 0;
  private depth = 0;

  constructor(
    text: string,
    private readonly graph: Graph,
    private readonly names: [string, string],
  ) {
    this.tokens = tokens(text);
  }

  private get next(): Token {
    return this.tokens[this.k];
  }

  private error(what: string, token = this.next): ExpressionError {
    return new ExpressionError(token.at, what);
  }

  private take(...texts: string[]): string | null {
    const { kind, text } = this.next;
    if (kind !== "sign" || !texts.includes(text)) return null;
    this.k++;
    return text;
  }

  private need(text: string): void {
    if (!this.take(text)) throw this.error(`${text} is needed before ${this.next.text}`);
  }

  whole(): number {
    const value = this.sum();
    if (this.next.kind === "end") return value;
    const missing = ["number", "name"].includes(this.next.kind) || this.next.text === "(";
    throw this.error(
      missing ? `write * before ${this.next.text}` : `${this.next.text} is not expected here; a formula ends before it`,
    );
  }

  private sum(): number {
    let left = this.product();
    for (let sign; (sign = this.take("+", "-")); ) {
      const right = this.product();
      left = sign === "+" ? this.graph.plus(left, right) : this.graph.minus(left, right);
    }
    return left;
  }

  private product(): number {
    let left = this.signed();
    for (let sign; (sign = this.take("*", "/")); ) {
      const right = this.signed();
      left = sign === "*" ? this.graph.times(left, right) : this.graph.over(left, right);
    }
    return left;
  }

  private signed(): number {
    if (++this.depth > 100) throw this.error("more than 100 signs or brackets within each other");
    let value: number;
    if (this.take("-")) value = this.graph.unary("neg", this.signed());
    else if (this.take("+")) value = this.signed();
    else {
      value = this.atom();
      if (this.take("**", "^")) value = this.graph.power(value, this.signed());
    }
    this.depth--;
    return value;
  }

  private atom(): number {
    const token = this.next;
    if (token.kind === "number") {
      this.k++;
      return this.graph.number(Number(token.text));
    }
    if (this.take("(")) {
      const value = this.sum();
      this.need(")");
      return value;
    }
    if (token.kind !== "name") throw this.error(`a number, ${this.names.join(", ")} or a function is needed before ${token.text}`);
    this.k++;
    const variable = this.names.indexOf(token.text);
    if (variable >= 0) return this.graph.variable(variable ? "y" : "x");
    if (Object.hasOwn(FUNCTIONS, token.text)) return this.called(token);
    if (Object.hasOwn(CONSTANTS, token.text)) return this.graph.number(CONSTANTS[token.text]);
    throw this.error(
      `${token.text} is not known: ${this.names.join(", ")}, pi, e, ${Object.keys(FUNCTIONS).join(", ")}`,
      token,
    );
  }

  private called({ text }: Token): number {
    const token = this.next;
    this.need("(");
    const args = [text === "where" ? this.comparison() : this.sum()];
    while (this.take(",")) args.push(this.sum());
    this.need(")");
    if (args.length !== FUNCTIONS[text])
      throw this.error(`${text} takes ${FUNCTIONS[text]}, got ${args.length}`, token);
    const [a, b, c] = args;
    const { graph } = this;
    const zero = graph.number(0);
    switch (text) {
      case "where": return graph.where(a, b, c);
      case "min":
      case "minimum": return graph.where(graph.compare("<", a, b), a, b);
      case "max":
      case "maximum": return graph.where(graph.compare(">", a, b), a, b);
      case "sign": return graph.sign(a);
      case "ratio": {
        const none = graph.compare("==", b, zero);
        return graph.where(none, zero, graph.over(a, graph.where(none, graph.number(1), b)));
      }
    }
    return graph.unary(text as (typeof UNARY)[number], a);
  }

  private comparison(): number {
    const left = this.sum();
    const sign = this.take("<", "<=", ">", ">=", "==", "!=");
    if (!sign) throw this.error("where(...) begins with a comparison, such as x < 0");
    return this.graph.compare(sign, left, this.sum());
  }
}

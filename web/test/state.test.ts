import { describe, expect, it } from "vitest";
import { fromHash, newMethod, type State, toHash } from "../src/state";
import type { Data, Rule } from "../src/types";

const line = (name: string, low: number | null, high: number | null, open: [boolean, boolean]) => ({ name, low, high, open, unit: "1", text: "" });
const rule: Rule = {
  places: ["w", "g", "m"], hyperparameters: ["lr", "beta"], states: ["m"], scalars: ["lr", "beta"], softeners: [],
  lines: { lr: line("lr", 0, null, [false, true]), beta: line("beta", 0, 1, [false, true]), m: line("m", null, null, [true, true]) },
  dialects: {
    "": { clock: "", values: [0.1, 0.9, 0], pinned: [] },
    torch: { clock: "", values: [0.01, 0.5, 0], pinned: ["beta"] },
  },
  clocks: {}, step: () => {}, frozen: null, look: { light: "", dark: "", dash: [] }, python: { imports: "", name: "tw.Momentum" },
};
const problem = {
  title: "", text: "", names: ["x", "y"] as [string, string], window: [[-1, 1], [-1, 1]] as Data["problems"][string]["window"],
  starts: [[0.5, 0.5]] as [number, number][], minima: [], minimum: 0, surface: { kind: "typed" as const, expression: "x" },
};
const data: Data = {
  version: "", rules: { Momentum: rule }, problems: { bowl: problem, other: problem }, problem: "bowl", methods: [], steps: 100, start: null,
};
const given: State = {
  problem: "bowl", window: null, start: [0.5, 0.5], steps: 100, methods: [newMethod(data, "Momentum")], focus: 0, step: 0, curve: "rate", beside: "eps", pin: null,
};

describe("the address", () => {
  it("gives back every state", () => {
    const method = newMethod(data, "Momentum", "torch");
    method.values = [1 / 3, 0.5, -1e-300];
    const state: State = {
      problem: "=x**2 + 10*y^2 & exp(-x) # ;,%", window: [[-1e-7, 2.5], [0, 1 / 7]], start: [0.1 + 0.2, -5e-324], steps: 77,
      methods: [newMethod(data, "Momentum"), method], focus: 1, step: 33, curve: "state-m", beside: "beta",
      pin: { start: [1 / 7, -2], steps: 5, methods: [{ ...method, open: false }] },
    };
    const read = fromHash(data, toHash(data, state), given);
    expect(read.problems).toEqual([]);
    const closed = state.methods.map((m) => ({ ...m, open: false }));
    expect(read.state).toEqual({ ...state, methods: closed });
  });

  it.each(["step=5", "Momentum", "=3", `o=${"Momentum;".repeat(13)}`])("names what it passes over: %s", (part) => {
    const { state, problems } = fromHash(data, `#v=1&p=other&${part}`, given);
    expect(problems).toEqual([part.startsWith("o=") ? "Momentum" : part]);
    expect(state.problem).toBe("other");
  });

  it("can be written by hand", () => {
    const { state, problems } = fromHash(data, "#p=other&x=-0.25,1e-3&o=Momentum,lr=2;Momentum:torch&t=5", given);
    expect(problems).toEqual([]);
    expect(state.start).toEqual([-0.25, 0.001]);
    expect(state.methods.map((m) => m.values[0])).toEqual([2, 0.01]);
    expect(state.methods.map((m) => m.open)).toEqual([false, true]);
    expect(state.step).toBe(5);
  });

  it.each([
    ["p=nowhere", "p=nowhere"], ["x=1", "x=1"], ["x=1,NaN", "x=1,NaN"], ["n=0", "n=0"], ["n=1e9", "n=1e9"], ["f=7", "f=7"],
    ["t=101", "t=101"], ["w=1,0,0,1", "w=1,0,0,1"], ["o=Nobody", "Nobody"], ["o=Momentum:keras", "Momentum:keras"],
    ["o=Momentum,beta=1", "Momentum: beta=1"], ["o=Momentum,lr=-1", "Momentum: lr=-1"], ["o=Momentum,lr=", "Momentum: lr="],
    ["o=Momentum:torch,beta=0.9", "Momentum:torch: beta=0.9"], ["o=Momentum,__proto__=1", "Momentum: __proto__=1"],
    ["o=constructor", "constructor"], ["gx=1,1", "gx=1,1"], ["go=Momentum", "go=Momentum"], ["p=toString", "p=toString"], ["x=%E0%A4%A", "x=%E0%A4%A"],
  ])("says that it does not understand %s", (hash, said) => {
    const { state, problems } = fromHash(data, `#${hash}`, given);
    expect(problems).toEqual([said]);
    expect({ ...state, methods: [] }).toEqual({ ...given, methods: [] });
  });
});

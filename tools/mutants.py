"""Break the code on purpose, one small way at a time, and see that the tests notice.

    python -m tools.mutants [--only TEXT]

Each mutant is one replacement in a copy of ``src``; the laws and paths that could notice are run against
the copy. A survivor is printed and makes the exit status 1: some test is missing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATHS, UNITS, IDLE, ENGINE = (
    "tests/paths",
    "tests/laws/test_units.py",
    "tests/laws/test_idle.py",
    "tests/laws/test_engine.py",
)
OPTIMIZER, RUNNING = "tests/test_optimizer.py", "tests/test_running_rule.py"
NAMES, ARCHIVES, RESUME = "tests/test_names.py", "tests/fuzz/test_archives.py", "tests/test_resume.py"
SCIPY, LINEAR, FITTING = "tests/test_scipy.py", "tests/test_linear.py", "tests/fitting/test_fit.py"
MINIMIZE, SKLEARN = "tests/test_minimize.py", "tests/conformance/test_sklearn.py"
TORCH, TORCH_SPARSE = "tests/test_torch_door.py", "tests/test_torch_sparse.py"
TORCH_AROUND, TORCH_WATCHED = "tests/test_torch_around.py", "tests/test_torch_watched.py"
SPARSE = "tests/laws/test_sparse.py"
GAIN = "tests/laws/test_gain.py"
XLA, OPTAX, KERAS = "tests/laws/test_xla.py", "tests/test_optax_door.py", "tests/test_keras_door.py"
DOOR, VALUES = "tests/test_tiny_door.py", "tests/laws/test_values.py"
SCALED, FIT_SCALED = "tests/reading/test_scale.py", "tests/fitting/test_scale.py"
READ_TEXT, READ_STREAM, READ_TABLES = (f"tests/reading/test_{n}.py" for n in ("text", "stream", "tables"))
READ_COLUMNS, READ_PRODUCTS = "tests/reading/test_columns.py", "tests/reading/test_interactions.py"
SEARCH = "tests/test_search.py"
MEASURES, AUDIT, STUDY = "tests/test_measures.py", "tests/test_audit.py", "tests/test_study.py"
WATCH = "tests/test_watch.py"
RACE, TRIAL, STORE = "tests/test_race.py", "tests/test_trial.py", "tests/test_store.py"
JAVASCRIPT, EXPLORER = "tests/laws/test_javascript.py", "tests/test_explorer.py"


@dataclass(frozen=True)
class Mutant:
    """One replacement and the tests that must fail for it."""

    file: str
    old: str
    new: str
    tests: str
    select: str = ""

    @property
    def name(self) -> str:
        """How it is printed."""
        return f"{self.file}: {' '.join(self.old.split())} -> {' '.join(self.new.split())}"


MUTANTS = [
    Mutant("lab/race_runner.py", "in (entry.trial_runs[i], *results[k])", "in results[k]", RACE, "finalists"),
    Mutant(
        "lab/race_runner.py", "self.budget.finals)] for e", "self.budget.tuning)] for e", RACE, "finalists"
    ),
    Mutant(
        "lab/budget.py",
        "[first + i for i in range(FINAL",
        "[first + i - 1 for i in range(FINAL",
        RACE,
        "disjoint",
    ),
    Mutant("lab/again.py", ' + ["--maximize"] * source.maximize', "", RACE, "asks_for"),
    Mutant(
        "lab/race_summary.py", "(curve[0] - floor), _held(p))", "(curve[0] - floor), 1)", RACE, "hold_its"
    ),
    Mutant("lab/trial.py", "np.maximum.accumulate(bad, axis=-1)", "bad", TRIAL, "comes_back"),
    Mutant("lab/trial_key.py", "sorted(value.reading)", "list(value.reading)", STORE, "whatever_order"),
    Mutant("files.py", "_ALSO.get(suffix, suffix)", "suffix", "tests/test_bad_input.py", "form_of"),
    Mutant("lab/measures.py", "+ budget * (~solved).sum()", "", MEASURES, "running_time"),
    Mutant(
        "lab/measures.py",
        "/ max(1, ordered.size)",
        "/ max(1, np.isfinite(ordered).sum())",
        MEASURES,
        "denominator",
    ),
    Mutant(
        "lab/measures.py",
        "np.isinf(times), np.inf, np.where(",
        "times < 0, np.inf, np.where(",
        MEASURES,
        "by_hand",
    ),
    Mutant(
        "lab/measures.py", "(r_max - ratios) / (r_max - 1)", "(r_max - ratios) / r_max", MEASURES, "score"
    ),
    Mutant("lab/measures.py", "comb(count - i, n - 1)", "comb(count - 1, n - 1)", MEASURES, "expected_best"),
    Mutant("lab/measures.py", "0.5 * (whole == 0)", "1.0 * (whole == 0)", MEASURES, "by_hand"),
    Mutant("lab/measures.py", "seen * (1 - 1e-12)", "seen * (1 + 1e-12)", MEASURES, "friedman"),
    Mutant(
        "lab/measures.py",
        "solved = (part[..., None] <= costs).sum(axis=1)",
        "solved = (part[..., None] <= costs)[:, 0]",
        MEASURES,
        "together",
    ),
    Mutant("lab/inclusions.py", "if self.large and not self.plain_rate", "if self.large", AUDIT, "becomes"),
    Mutant("lab/inclusions.py", "if step.outer == inner and", "if", AUDIT, "chained"),
    Mutant(
        "lab/audit.py",
        'set(race["settings"]["selection_seeds"]))\n    if',
        "set())\n    if",
        AUDIT,
        "evidence",
    ),
    Mutant(
        "lab/study_summary.py",
        'and v["verdict"] == "better")',
        'and v["verdict"] != "better")',
        STUDY,
        "verdicts",
    ),
    Mutant("lab/study.py", "{**general, **own}", "{**own, **general}", STUDY, "file_says"),
    Mutant("lab/study_file.py", "seen == count", "seen >= 0", STUDY, "wrong_file"),
    Mutant("lab/dimensions.py", "return max(1.0, math.pow(", "return min(1.0, math.pow(", SEARCH, "follows"),
    Mutant("lab/dimensions.py", "times == 1 else {", "times >= 1 else {", SEARCH, "follows"),
    Mutant("lab/ranges.py", "used or guards", "guards or used", SEARCH, "one_name"),
    Mutant("lab/dimensions.py", "0 if side < 0 and self.low == 0 else side", "side", SEARCH, "units"),
    Mutant("lab/search.py", "[*self.names, *(n", "[*(n", SEARCH, "sequence"),
    Mutant(
        "lab/search.py", "any(self.space[n].widens for n in self.edges)", "bool(self.edges)", SEARCH, "hard"
    ),
    Mutant(
        "lab/search.py", 'yield "tuning", first', 'yield "tuning", first[:1] * len(first)', SEARCH, "badly"
    ),
    Mutant("lab/configuration.py", "round(steps * usual / batch)", "round(steps)", SEARCH, "around"),
    Mutant("lab/configuration.py", "pace = race_steps / steps", "pace = 1.0", SEARCH, "around"),
    Mutant("lab/importance.py", "lost - columns[n].shape[1] * error", "lost", SEARCH, "omega"),
    Mutant("printing/javascript.py", "Math.floor(x) + 0;", "Math.floor(x);", JAVASCRIPT, "libm"),
    Mutant("printing/javascript.py", "(x === 1 || ", "(", JAVASCRIPT, "libm"),
    Mutant("printing/symbolic.py", "_where(y < x, y, x)", "_where(y < x, x, y)", JAVASCRIPT, "schedule"),
    Mutant(
        "printing/symbolic.py",
        'return _called("floor", _joined(self, ast.Div(), other))',
        "return _joined(self, ast.Div(), other)",
        JAVASCRIPT,
        "schedule",
    ),
    Mutant(
        "lab/explorer/payload.py",
        "np.column_stack([different, counts])",
        "np.column_stack([different, 0 * counts + 1])",
        EXPLORER,
        "landscapes",
    ),
    Mutant(
        "lab/explorer/subject.py",
        "if problem:\n            raise",
        "if False:\n            raise",
        EXPLORER,
        "cannot_be",
    ),
    Mutant("torch/fast_path.py", "if not self._guards.check(*tensors)", "if False", TORCH, "became_another"),
    Mutant(
        "torch/fast_path.py",
        "if before or behind or not start",
        "if not start",
        TORCH,
        "cannot_rely",
    ),
    Mutant("torch/fast_path.py", "all(map(is_, counts, self._steps))", "True", TORCH, "between_steps"),
    Mutant(
        "torch/stepping.py", "gradients += [(x[1]", "gradients = [(x[1]", TORCH_AROUND, "stand_and_others"
    ),
    Mutant("torch/stepping.py", "if clip is None or not clip.shift", "if True", TORCH_AROUND, "out_of_range"),
    Mutant(
        "torch/watching.py",
        "        self.whole()\n        return type",
        "        return type",
        TORCH_WATCHED,
        "brings",
    ),
    Mutant("torch/average.py", "watching.catch_up(model)", "pass", TORCH_WATCHED, "our_averaged"),
    Mutant("torch/surround.py", "or profiled()", "or False", "tests/test_torch_surround.py", "label"),
    Mutant("torch/layout.py", "if other >= end", "if True", TORCH, "overlap or entry or is_the or are_one"),
    Mutant("torch/layout.py", " or x.is_conj() or x.is_neg():", ":", TORCH, "negative"),
    Mutant(
        "torch/row_tracking.py",
        "self._lies(p) and self._whole()",
        "self._lies(p)",
        TORCH_SPARSE,
        "in_place_under",
    ),
    Mutant(
        "torch/states.py",
        "dtype=torch.float64, device=counted",
        "dtype=torch.float32, device=counted",
        TORCH,
        "other_devices",
    ),
    Mutant("sklearn/arguments.py", "int(average) - 1 if", "int(average) if", SKLEARN, "averaging"),
    Mutant(
        "sklearn/arguments.py", 'is_open or rate == "auto"', 'rate == "auto"', SKLEARN, "rate_that_is_open"
    ),
    Mutant("sklearn/base.py", "else np.sort(train)", "else train", SKLEARN, "held_out"),
    Mutant("rules/__init__.py", "rule(), True", "rule(), False", SKLEARN, "class_or_a_name"),
    Mutant("linear/baseline.py", "if turned * slope <= 0", "if turned * slope < -1", LINEAR, "constant"),
    Mutant("fitting/settings.py", "max(self.average - 1, 0)", "self.average", FITTING, "averaging"),
    Mutant("rules/adam.py", "m = beta1 * m + take1 * g", "m = beta2 * m + take1 * g", PATHS, "Adam-"),
    Mutant("rules/adam.py", "v = beta2 * v + take2 * g * g", "v = beta1 * v + take2 * g * g", PATHS, "Adam-"),
    Mutant("rules/adam.py", '"fix": 1 / (1 - beta2**n)', '"fix": 1', PATHS, "Adam-"),
    Mutant("rules/adam.py", '"size": lr / (1 - beta1**n)', '"size": lr', PATHS, "Adam-"),
    Mutant(
        "rules/adam.py", "sqrt(v * fix + eps_root) + eps", "sqrt(v * fix + eps_root + eps)", UNITS, "Adam"
    ),
    Mutant(
        "rules/adam.py", "floor((t - 1) / epoch) + 1", "floor(t / epoch) + 1", PATHS, "Adam-notes or do_adam"
    ),
    Mutant("rules/adagrad.py", "s = s + g * g", "s = s + abs(g) * 1", UNITS, "Adagrad"),
    Mutant(
        "rules/adagrad.py", "sqrt(s + eps_root) + eps", "sqrt(s + eps_root + eps * eps)", PATHS, "Adagrad"
    ),
    Mutant(
        "rules/adagrad.py",
        "lr=1e-3,\n        eps_root=1e-7,\n        s=0.1",
        "lr=1e-3,\n        eps_root=1e-7",
        PATHS,
        "Adagrad-keras",
    ),
    Mutant("rules/rmsprop.py", 'return {"take": 1 - beta}', 'return {"take": 1}', PATHS, "RMSprop-"),
    Mutant("rules/rmsprop.py", "return w, beta**k * v", "return w, v", IDLE, "RMSprop-"),
    Mutant("rules/rmsprop.py", "eps_root=1e-10, v=1.0", "eps_root=1e-10", PATHS, "RMSprop-tf1"),
    Mutant(
        "rules/rmsprop_centred.py", "maximum(v - a * a, 0)", "maximum(v + a * a, 0)", PATHS, "RMSpropCentred-"
    ),
    Mutant("rules/adadelta.py", "sqrt(u + eps_u)", "sqrt(u) + sqrt(eps_u)", PATHS, "Adadelta"),
    Mutant("rules/adadelta.py", "beta * u + take * d * d", "beta * u + take * g * g", UNITS, "Adadelta"),
    Mutant(
        "rules/adamax.py",
        "maximum(beta2 * u, abs(g) + eps_in)",
        "maximum(beta2 * u, abs(g)) + eps_in",
        PATHS,
        "Adamax",
    ),
    Mutant("rules/adamax.py", "lr / (1 - beta1**t)", "lr", PATHS, "Adamax"),
    Mutant(
        "rules/maxprop.py",
        "maximum(beta * v, abs(g) + eps_in)",
        "maximum(v, abs(g) + eps_in)",
        PATHS,
        "MaxProp",
    ),
    Mutant("rules/adamw.py", "shrunk(w, keep)", "shrunk(w, take1)", PATHS, "AdamW-torch"),
    Mutant("rules/adamw.py", "weight_decay=4e-3", "weight_decay=1e-2", PATHS, "AdamW-keras"),
    Mutant("rules/amsgrad.py", "u = maximum(u, before * v)", "u = before * v", PATHS, "AMSGrad"),
    Mutant("rules/amsgrad.py", "clock=corrected_before", "clock=clock", PATHS, "AMSGrad-optax"),
    Mutant("rules/nadam.py", "momentum(t + 1, beta1", "momentum(t, beta1", PATHS, "NAdam-torch"),
    Mutant("rules/radam.py", "2 * t * beta2**t", "t * beta2**t", PATHS, "RAdam"),
    Mutant("rules/radam.py", '"threshold": 5.0', '"threshold": 4.0', PATHS, "RAdam-torch"),
    Mutant("rules/adabelief.py", "surprise = g - m", "surprise = g", PATHS, "AdaBelief"),
    Mutant("rules/ftrl.py", "l2_before * w + told - z - g", "l2_before * w + told - g", PATHS, "FTRL-"),
    Mutant("rules/ftrl.py", "before = t - 1", "before = t", PATHS, "FTRL-cumulated"),
    Mutant("rules/ftrl.py", "end = t + k", "end = k", IDLE, "FTRL-cumulated"),
    Mutant("rules/yogi.py", "sign(v - g * g)", "sign(g * g - v)", PATHS, "Yogi"),
    Mutant("rules/yogi.py", "m=1e-6", "m=0.0", PATHS, "Yogi-optax"),
    Mutant(
        "rules/lion.py", "return rest - rate(lr) * sign(c)", "return rest - rate(lr) * sign(m)", PATHS, "Lion"
    ),
    Mutant("rules/lion.py", "ratio(1 - keep**n, 1 - keep)", "n", IDLE, "Lion"),
    Mutant("core/started.py", "0.0 if _own(amount)", "1.0 if _own(amount)", OPTIMIZER),
    Mutant("rules/lpprop.py", '"keep": beta**p', '"keep": beta', PATHS, "LpProp"),
    Mutant("rules/lpprop.py", ") ** root", ") ** p", PATHS, "LpProp"),
    Mutant("rules/momentum.py", "where(t > 1, 1 - dampening, 1)", "1 - dampening", PATHS, "Momentum-torch"),
    Mutant(
        "rules/momentum.py",
        "lr * m * beta * (1 - rest) / forgets",
        "lr * m * (1 - rest) / forgets",
        IDLE,
        "Momentum-",
    ),
    Mutant("rules/momentum_sutskever.py", "return w + v, v", "return w - v, v", PATHS, "MomentumSutskever"),
    Mutant("rules/nesterov.py", "(g + beta * m)", "(g + m)", PATHS, "Nesterov-"),
    Mutant("rules/nesterov_sutskever.py", "(beta * v - move)", "(beta * v)", PATHS, "NesterovSutskever"),
    Mutant("rules/sgd.py", "w - rate(lr) * g", "w + rate(lr) * g", PATHS, "SGD"),
    Mutant(
        "core/math.py",
        "return where(y == 0, 0.0,",
        "return where(y == 0, 1.0,",
        "tests/laws/test_values.py",
        "has_no_rate",
    ),
    Mutant(
        "core/math.py",
        "where(x > y, x, where(x == x, y, x))",
        "where(x > y, y, where(x == x, x, y))",
        PATHS,
        "MaxProp",
    ),
    Mutant("core/pieces.py", "return g + decay * w", "return g - decay * w", OPTIMIZER),
    Mutant("core/pieces.py", "return (a + g) * share", "return a + g * share", OPTIMIZER),
    Mutant("core/started.py", "maximize=maximize,", "maximize=not maximize,", OPTIMIZER),
    Mutant("core/clock.py", "rule.at(t - 1)", "rule.at(t)", "tests/laws/test_values.py", "drive"),
    Mutant(
        "engines/cpu/text.py",
        "<= F({largest!r})",
        "!= F({largest!r})",
        "tests/test_bad_input.py",
    ),
    Mutant(
        "engines/cpu/dense_text.py", 'if b > table[o + 1]:"', 'if b > table[o + 1] + 1:"', ENGINE, "threads"
    ),
    Mutant(
        "engines/cpu/text.py",
        "F(math.pow(D({0}), D({1})))",
        "F(math.pow(D({0}), D({1}) + 1))",
        ENGINE,
        "powers_equal",
    ),
    Mutant("engines/cpu/loops.py", "planned[(t - 1) *", "planned[t *", ENGINE, "compiled_loops"),
    Mutant("optimizer/window.py", "leaf.t, leaf.gathered = goal, 0", "leaf.t = goal", OPTIMIZER),
    Mutant("optimizer/gradients.py", "factor = bound / length", "factor = length / bound", OPTIMIZER),
    Mutant("optimizer/optimizer.py", "self.flush()  # by the old values", "pass", RUNNING, "catch_up"),
    Mutant("optimizer/options.py", "for n in group.own", "for n in ()", RUNNING, "decay_of_a_group"),
    Mutant("optimizer/tree.py", "called[text] == 1", "True", NAMES),
    Mutant(
        "optimizer/saving.py", "if by_keys else tree.dotted(keys)", "if False else tree.dotted(keys)", NAMES
    ),
    Mutant(
        "archive.py", "total = sum(m.file_size for m in members)", "total = 0", ARCHIVES, "one_in_another"
    ),
    Mutant("files.py", "fcntl.LOCK_EX | fcntl.LOCK_NB)", "fcntl.LOCK_SH | fcntl.LOCK_NB)", RESUME, "at_work"),
    Mutant("core/pieces.py", "return 1.0 / t", "return 1.0 / (t + 1)", OPTIMIZER),
    Mutant("core/update.py", "ast.UnaryOp(ast.USub(), right)", "right", XLA, "difference"),
    Mutant("core/update.py", "ast.BinOp(right, ast.Mult(), rest)", "rest", XLA, "formulas_that"),
    Mutant("core/clock.py", 'name("expm1")', 'name("exp")', XLA, "clock"),
    Mutant(
        "core/clock.py", "BinOp(exponent, ast.Mult(), log)", "BinOp(exponent, ast.Add(), log)", XLA, "clock"
    ),
    Mutant("engines/xla.py", "evaluate(done + 1.0", "evaluate(done", XLA, "clock"),
    Mutant("core/pieces.py", "1.0 - lr * weight_decay", "1.0 + lr * weight_decay", OPTIMIZER),
    Mutant(
        "core/pieces.py",
        "where(g == 0, gain, reached * inverse)",
        "reached * inverse",
        GAIN,
        "idle_coordinate",
    ),
    Mutant("core/pieces.py", "w / (1 + gain * draw)", "w * (1 - gain * draw)", GAIN, "constant_gradient"),
    Mutant("rules/momentum.py", "rate * (take / (1 - beta))", "rate", GAIN, "constant_gradient"),
    Mutant("engines/cpu/sparse_text.py", "second_ / 2.0", "second_", GAIN, "sparse_steps"),
    Mutant("core/catch_up.py", "decay or options.metric or", "decay or", GAIN, "sparse_steps"),
    Mutant("optax/__init__.py", "optax.safe_increment(state.count)", "state.count", OPTAX, "rule_on"),
    Mutant("optax/convert.py", "-1.0 if text", "1.0 if text", OPTAX, "goes_on"),
    Mutant(
        "core/catch_up.py",
        "not (decay or options.metric or options.rates)",
        "not (options.metric or options.rates)",
        SPARSE,
        "no_books",
    ),
    Mutant("engines/cpu/sparse.py", "and not other.plan.still", "", TORCH_SPARSE, "stood_still"),
    Mutant("core/catch_up.py", "idle, still=True", "idle", SPARSE, "books"),
    Mutant("engines/cpu/gather.py", "rows[touched[:count]]", "touched[:count]", SPARSE, "few_indices"),
    Mutant("optax/leaf.py", "astype(c.dtype or x.dtype)", "astype(gradient.dtype)", OPTAX, "16_bits"),
    Mutant("optax/leaf.py", "astype(c.dtype or x.dtype)", "astype(x.dtype)", OPTAX, "averages"),
    Mutant("optax/state.py", "len(present) > 1", "False", OPTAX, "not_there"),
    Mutant("core/started.py", "{**own, **words} if native", "{**words, **own} if native", DOOR, "words"),
    Mutant(
        "core/dialect.py", "arguments.get(n, row.options.get(n))", "arguments.get(n)", VALUES, "pick_a_rule"
    ),
    Mutant("torch/observed.py", "closure is not None or", "", WATCH, "closure"),
    Mutant("torch/observed.py", "== (self._numels[i], self._complex[i]) and", "and", WATCH, "another"),
    Mutant("torch/curved.py", "self._sign * whole", "whole", WATCH, "ascent"),
    Mutant("torch/layouts.py", "all(map(is_, now, self._states))", "now", WATCH, "judged"),
    Mutant(
        "torch/layouts.py",
        "addresses([*self.params, *self._states]), self._places",
        "[], []",
        WATCH,
        "judged",
    ),
    Mutant(
        "lab/watch/summed.py",
        "_share(w, after, g, rate, alone) > 0.5",
        "_share(w, after, g, rate, alone) > 2",
        WATCH,
        "epsilon",
    ),
    Mutant("lab/watch_result.py", "self._stride *= 2", "pass", WATCH, "memory"),
    Mutant("lab/watch/__init__.py", "seen.steps == self._last_look + 1", "True", WATCH, "rate_too_large"),
    Mutant("lab/reports/watch_wording.py", "seen.turning >= IN_A_ROW", "seen.turning >= 0", WATCH, "noise"),
    Mutant("lab/watch/__init__.py", "seen.looks.looks > AS_ASKED", "False", WATCH, "rarer"),
    Mutant("core/update.py", "& {*update.arrays}", '& {"w", "g"}', WATCH, "rates_of_torch"),
    Mutant("keras/__init__.py", "opt.count(int(_read(optimizer.iterations)))", "pass", KERAS, "goes_on"),
    Mutant("convert.py", "if rule.clock is not theirs.clock", "if False", OPTAX, "agree"),
    Mutant("scipy/judge.py", "point.f <= self.lowest.f", "True", SCIPY, "lowest"),
    Mutant("scipy/judge.py", "x=point.x.copy(), g=point.g.copy()", "x=point.x, g=point.g", SCIPY, "kept"),
    Mutant("scipy/judge.py", "(p.x <= low) & (p.g > 0)", "(p.x <= low) & (p.g < 0)", SCIPY, "bounds"),
    Mutant(
        "scipy/objective.py", "(above if sign > 0 else below) < reach", "False", SCIPY, "differences_stay"
    ),
    Mutant("scipy/objective.py", "self.draw.state = before", "pass", SCIPY, "one_draw"),
    Mutant("scipy/objective.py", "fun, jac = behind, True", "pass", SCIPY, "fresh_draw"),
    Mutant("scipy/judge.py", "self.calm_f += 1", "self.calm_f += 2", SCIPY, "changes"),
    Mutant("scipy/run.py", "np.multiply(g, scale, out=gradient)", "gradient[:] = g", SCIPY, "scales"),
    Mutant(
        "scipy/run.py", "objective.nfev + objective.cost + final", "objective.nfev + final", SCIPY, "target"
    ),
    Mutant("scipy/objective.py", "self.side is None", "True", SCIPY, "at_zero"),
    Mutant("scipy/objective.py", "self.eps = SINGLE", "pass", SCIPY, "single_precision"),
    Mutant("scipy/objective.py", "self.fixed & ~np.isfinite(g)", "False", SCIPY, "fixed_variables"),
    Mutant("scipy/choice.py", "status != DONE", "True", MINIMIZE, "plateau"),
    Mutant("scipy/choice.py", "BEYOND = 10.0", "BEYOND = 1.01", MINIMIZE, "far_from"),
    Mutant("scipy/judge.py", "self.ends is None or self.ends(p.nit)", "True", MINIMIZE, "at_rest"),
    Mutant("scipy/judge.py", "s / self.count", "s / self.every", SCIPY, "means"),
    Mutant("scipy/run.py", "self.optimizer.count(done)", "pass", SCIPY, "same_run"),
    Mutant("engines/cpu/objective_loop.py", "f <= numbers[5]", "f < -1", SCIPY, "same_run"),
    Mutant("engines/cpu/objective_loop.py", "calm_x = 0", "calm_x = 1", SCIPY, "same_run"),
    Mutant("engines/cpu/objective_loop.py", "(x[i] >= high[i]) and (g[i] < 0)", "False", SCIPY, "same_run"),
    Mutant(
        "engines/cpu/objective_loop.py", "at.calm_f, at.calm_x, at.best_step", "0, 0, 0", SCIPY, "same_run"
    ),
    Mutant("reading/kernels/common.py", "F(x * (1.0 - 2.0**-50))", "f", READ_TEXT, "rounded_once"),
    Mutant(
        "reading/kernels/common.py", "and -22 <= e <= 22", "and -40 <= e <= 40", READ_TEXT, "rounded_once"
    ),
    Mutant(
        "reading/kernels/common.py", "job[LISTED] = listed\n", "listed = listed\n", READ_TEXT, "independent"
    ),
    Mutant("reading/kernels/common.py", "(indices[k] << 32) | k", "(indices[k] << 32)", READ_TEXT, "sorted"),
    Mutant("reading/kernels/vw.py", "h ^= n", "h ^= 0", READ_TEXT, "vw_hashes"),
    Mutant(
        "reading/kernels/vw.py", "range(i if s == t else", "range(i + 1 if s == t else", READ_PRODUCTS, "text"
    ),
    Mutant("reading/kernels/vw.py", "job[FULL] = 2", "return n, 0", READ_PRODUCTS, "many_products"),
    Mutant("reading/interactions.py", "& ~np.triu(asked).T", "", READ_PRODUCTS, "take_a_pair_once"),
    Mutant("reading/products.py", "(columns[a] - centre[a])", "columns[a]", READ_PRODUCTS, "of_columns"),
    Mutant(
        "reading/dates.py",
        '"datetime64[M]") == month',
        '"datetime64[M]") == date.astype("datetime64[M]")',
        READ_COLUMNS,
        "other_ways",
    ),
    Mutant("reading/kernels/blanks.py", "or closed != 0", "", READ_COLUMNS, "any_number_of_blanks"),
    Mutant("reading/kernels/vw.py", "return h + seed", "return h", READ_TEXT, "vw_hashes"),
    Mutant(
        "reading/kernels/vw.py",
        "while p[i] == 32 or p[i] == 9:\n        i += 1\n    if p[i] == 10 or (p[i] == 13",
        "while p[i] <= 32:\n        i += 1\n    if p[i] == 10 or (p[i] == 13",
        READ_TEXT,
        "independent",
    ),
    Mutant(
        "reading/text.py",
        "offset += buffer.drop(found.at)",
        "offset += buffer.drop(found.at) + 1",
        READ_STREAM,
        "resumed",
    ),
    Mutant(
        "reading/text.py",
        "line += found.lines",
        "line += len(found.labels)",
        READ_STREAM,
        "resumed or skipped",
    ),
    Mutant("reading/sources.py", "left -= n", "left -= n + 1", READ_STREAM, "resumed"),
    Mutant(
        "reading/ahead.py",
        "stopped.set()\n        room.release()\n        if waits and threading.current_thread() is not thread:",
        "if False:",
        READ_STREAM,
        "stops_early",
    ),
    Mutant("reading/ahead.py", "Semaphore(depth)", "Semaphore(10**6)", READ_STREAM, "read_ahead"),
    Mutant(
        "reading/cache.py",
        "and zlib.crc32(room) !=",
        "and False and zlib.crc32(room) !=",
        READ_STREAM,
        "damaged_cache",
    ),
    Mutant(
        "reading/cache_checks.py",
        'entry["size"] == sum(',
        'True or entry["size"] == sum(',
        "tests/fitting/test_crafted_files.py",
        "cache",
    ),
    Mutant(
        "fitting/trained.py",
        "if weights.shape != (rows, outputs) or",
        "if",
        "tests/fitting/test_crafted_files.py",
        "parts_fit",
    ),
    Mutant(
        "reading/cache.py", 'if index["source"] == self._source() else None', "", READ_STREAM, "changed_file"
    ),
    Mutant(
        "reading/kernels/records.py",
        "if c == 34 and (start or closed):",
        "if c == 34:",
        READ_TABLES,
        "quotes",
    ),
    Mutant("reading/kernels/records.py", "(wrong or junk)", "wrong", READ_COLUMNS, "unclosed"),
    Mutant("reading/kinds.py", "plain < NEARLY * total", "plain < total", READ_COLUMNS, "nearly"),
    Mutant(
        "reading/csv.py",
        "first, line = line + 1, line + rows",
        "first, line = line + 1, line + table.num_rows",
        READ_TABLES,
        "over_many_blocks",
    ),
    Mutant(
        "reading/kernels/tables.py", "values[at] += F(1.0)", "values[at] = F(1.0)", READ_TABLES, "one_space"
    ),
    Mutant(
        "reading/table_blocks.py",
        "((wide - centre) / size)",
        "(wide.astype(np.float32) - centre) / size",
        SCALED,
        "narrowed",
    ),
    Mutant(
        "reading/first_rows.py",
        "table.slice(0, self.rows - self.taken)",
        "table",
        SCALED,
        "whatever_the_blocks",
    ),
    Mutant(
        "reading/first_rows.py",
        "table.num_rows != rows or",
        "",
        "tests/reading/test_first_rows.py",
        "parsed_before",
    ),
    Mutant("scaling.py", "b -= columns.centre @ w[:k]", "", "tests/test_scaling.py", "go_back"),
    Mutant(
        "fitting/chunks.py", "first + bounds.rows - rows", "first + bounds.rows", FIT_SCALED, "chunks_end"
    ),
    Mutant("fitting/chunks.py", "[seed, passed, row]", "[seed, row]", FIT_SCALED, "anew"),
    Mutant("fitting/sizes.py", "(weights / sizes[:, None])", "weights", FIT_SCALED, "sizes"),
    Mutant("reading/parquet.py", "if row > at.line:", "if row >= at.line:", READ_STREAM, "resumed"),
]


def killed(mutant: Mutant) -> bool:
    """Whether the tests fail on the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy)
        target = copy / "thalweg" / mutant.file
        text = target.read_text()
        if mutant.old not in text:
            raise SystemExit(f"no longer in the code: {mutant.name}")
        target.write_text(text.replace(mutant.old, mutant.new))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            mutant.tests,
        ]
        command += ["-k", mutant.select] if mutant.select else []
        env = {**os.environ, "PYTHONPATH": str(copy), "THALWEG_CACHE": str(Path(folder) / "cache")}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{mutant.name}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="mutants whose name holds this text")
    given = parser.parse_args()
    survivors = 0
    for mutant in MUTANTS:
        if given.only in mutant.name:
            dead = killed(mutant)
            survivors += not dead
            print(f"{'killed  ' if dead else 'SURVIVED'}  {mutant.name}", flush=True)
    print(f"{survivors} survived of {sum(given.only in m.name for m in MUTANTS)}")
    raise SystemExit(1 if survivors else 0)


if __name__ == "__main__":
    main()

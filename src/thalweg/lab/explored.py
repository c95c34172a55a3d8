"""What the explorer shows of a race on a landscape: its methods as they were tuned, from the start of its first fresh run."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.rule import Rule
from ..problems import Raced
from ..problems.formula import FormulaProblem
from .configuration import Configuration
from .formatting import listing


@dataclass(frozen=True)
class Explored:
    """A landscape with rules, best first, and the run that they share; ``notes`` say what of the race is not in it."""

    problem: FormulaProblem
    rules: Sequence[Rule]
    start: Sequence[float]
    steps: int
    notes: Sequence[str]

    def page(self) -> str:
        """The explorer's page, with this landscape alone; RuleError where a rule cannot be printed for it."""
        from .explorer import embedded

        return embedded(self.problem, self.rules, self.start, self.steps)


def explored(p: Raced, ranked: Sequence[tuple[str, Configuration]], steps: int, seed: int) -> Explored | None:
    """Return what there is to explore; None where the problem is no landscape, or no method is a rule.

    ranked: methods' names with what was chosen for them, best first. steps: of a run; seed: whose start is taken.
    """
    if not isinstance(p, FormulaProblem) or p.window is None:
        return None
    from .explorer import MOST_METHODS, MOST_STEPS  # brings a printer, which other problems do not need

    rules = {n: c for n, c in ranked if isinstance(c.tuned.runs, Rule)}
    shown = dict(list(rules.items())[:MOST_METHODS])
    if not shown:
        return None
    around = [n for n, c in shown.items() if c.options]
    notes = [
        "Gradients are those of all rows at once." * bool(p.noisy),
        f"{listing(around)} without the weight decay or clipping around it." * bool(around),
        f"The first {MOST_STEPS:,} steps." * (steps > MOST_STEPS),
        f"Not in it: {listing(n for n, _ in ranked if n not in shown)}." * (len(shown) < len(ranked)),
    ]
    return Explored(
        p,
        [c.tuned.runs for c in shown.values() if isinstance(c.tuned.runs, Rule)],
        [float(v) for v in p.start(seed)],
        min(steps, MOST_STEPS),
        [n for n in notes if n],
    )

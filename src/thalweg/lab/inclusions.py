"""Which rule contains which (Choi et al., arXiv 1910.05446): one table, and the settings at which one becomes the other.

A rule contains another where, for every setting of the inner one, settings of the outer one tend to its update, for
all steps and gradients. Tuned over all its lines the outer one then cannot be worse. Rules that are not here have no
such limit that is known: the signs of Lion and Rprop, RAdam's change of mind, and of Nesterov in NAdam the two
corrections, which one rate cannot both undo.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..core.rule import Rule
from ..core.schedule import Schedule


class Compensated(Schedule):
    """value · (1 - beta^t) / (1 - beta) at step t: it undoes Adam's correction of its average gradient."""

    value: float
    beta: float

    def __call__(self, step: int) -> float:
        return self.value * (1 - self.beta ** (step + 1)) / (1 - self.beta)


@dataclass(frozen=True)
class Inclusion:
    """``outer`` becomes ``inner``, names of rules, at these settings.

    fixed: values of the outer rule's lines. same: its lines that take the value of one of the inner's. large: lines
    that grow without bound, lr with them unless ``plain_rate``. corrected: lr then also undoes the correction of the
    average gradient, whose decay is ``beta1``.
    """

    outer: str
    inner: str
    fixed: Mapping[str, float] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    large: tuple[str, ...] = ()
    plain_rate: bool = False
    corrected: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """The outer rule's lines that have to be free, beside lr."""
        return (*self.fixed, *self.same, *self.large)

    @property
    def words(self) -> str:
        """The settings in words: ``beta1 as beta, eps → ∞``."""
        parts = [f"{n} = {value:g}" for n, value in self.fixed.items()]
        parts += [f"{n} as {self.inner}'s {other}" for n, other in self.same.items()]
        parts += [f"{n} → ∞" for n in self.large]
        return ", ".join(parts)

    def limit(self, outer: Rule, inner: Rule, size: float) -> Rule:
        """The outer rule at settings that give the inner one's steps, as nearly as a line of this ``size`` does."""
        own = inner.at(0)
        rate = own["lr"] * (size if self.large and not self.plain_rate else 1.0)
        same = {n: own[other] for n, other in self.same.items()}
        lr = Compensated(rate, same["beta1"]) if self.corrected else rate
        return outer.replace(lr=lr, **self.fixed, **same, **dict.fromkeys(self.large, size))


def _adam_like(outer: str) -> Inclusion:
    return Inclusion(outer, "Momentum", same={"beta1": "beta"}, large=("eps",), corrected=True)


def _scaled(outer: str, *large: str, inner: str = "SGD", same: Mapping[str, str] | None = None) -> Inclusion:
    return Inclusion(outer, inner, same=same or {}, large=large or ("eps",))


INCLUSIONS = (
    *(
        Inclusion(outer, "SGD", fixed={"beta": 0.0})
        for outer in ("Momentum", "MomentumSutskever", "Nesterov", "NesterovSutskever")
    ),
    Inclusion("ASGD", "SGD", fixed={"lambd": 0.0}),
    *(_scaled(outer) for outer in ("Adagrad", "RMSprop", "RMSpropCentred", "MaxProp", "LpProp")),
    _scaled("FTRL", "beta"),
    Inclusion("Adadelta", "SGD", large=("eps_v", "eps_u"), plain_rate=True),
    Inclusion("NAdam", "SGD", fixed={"beta1": 0.0}, large=("eps",)),
    *(
        _scaled(outer, inner="Momentum", same={"mu": "beta"})
        for outer in (
            "RMSpropMomentum",
            "RMSpropMomentumSutskever",
            "RMSpropCentredMomentum",
            "RMSpropCentredMomentumSutskever",
        )
    ),
    *(
        Inclusion(f"{root}{tail}", root, fixed={"mu": 0.0}, same={n: n for n in ("beta", "eps", "eps_root")})
        for root in ("RMSprop", "RMSpropCentred")
        for tail in ("Momentum", "MomentumSutskever")
    ),
    *(_adam_like(outer) for outer in ("Adam", "AMSGrad", "AdaBelief", "Yogi", "Adamax")),
    Inclusion(
        "AdamW",
        "Adam",
        fixed={"weight_decay": 0.0},
        same={n: n for n in ("beta1", "beta2", "eps", "eps_root")},
    ),
    Inclusion(
        "Adamax",
        "MaxProp",
        fixed={"beta1": 0.0},
        same={"beta2": "beta", "eps": "eps", "eps_in": "eps_in"},
    ),
)


def chains(kinds: Iterable[str]) -> list[tuple[Inclusion, ...]]:
    """How each of these rules, by name, contains another of them: the shortest way for each pair, outermost first."""
    present = list(dict.fromkeys(kinds))
    found: list[tuple[Inclusion, ...]] = []
    for outer in present:
        ways: dict[str, tuple[Inclusion, ...]] = {i.inner: (i,) for i in INCLUSIONS if i.outer == outer}
        queue = list(ways)
        for inner in queue:  # grows while it is walked: the nearest come first
            for step in INCLUSIONS:
                if step.outer == inner and step.inner not in ways:
                    ways[step.inner] = (*ways[inner], step)
                    queue.append(step.inner)
        found += [way for inner, way in ways.items() if inner in present]
    return found

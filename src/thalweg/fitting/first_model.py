"""The model that a run begins with: loss, classes, width and learning rate, as its first rows tell them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..engines.cpu.csr import rows_of
from ..engines.memory import Array
from ..errors import HyperparameterError
from ..linear import Model, Settings, measure, race, slow_replay
from ..linear.losses import DEGREE, EPSILON, has_epsilon
from ..linear.race import part
from ..reading import Block, Stream
from ..reading.unpack import SUFFIXES
from .budget import Budget
from .chunks import FIRST, LATER
from .labels import come_in_runs, decide, require_known
from .learning import room_for, rows_in
from .report import columns_text
from .settings import FitSettings

LARGE = 1 << 24  # features up to which nobody is asked
LEAST_ENTRY = 4  # bytes of a feature in a file: " 1:1"
LARGE_SHARE = 64  # features for each that the files can hold, from which on they are taken for a mistake
LEAST_RACED = 4  # rows from which a race can choose a learning rate
RACED = 20_000  # rows of the first chunk, drawn by the seed, that a race is run on


class FirstModel(NamedTuple):
    """What a model is made of: settings, the stream of its rows, what its features are cut to, the memory that it may take.

    fold: bits of the indices; None: they are as they are. note: is told what was decided.
    """

    settings: FitSettings
    stream: Stream
    fold: int | None
    budget: Budget
    note: Callable[[str], None]

    def model(self, block: Block, rows: Array | None) -> Model:
        """Return the model from the first chunk of rows, at the learning rate of a race if that is open; say what was decided.

        rows: of them those that are learnt from; None: all. Raises ProblemError and HyperparameterError.
        """
        if self.stream.columns is not None:
            for line in columns_text(self.stream.columns):
                self.note(line)
        loss, classes, why = decide(self.settings, block.labels, self.stream.classes, self.stream.labels)
        if why:
            self.note(why)
        self._note_order(block.labels, classes)
        settings = self.settings.linear(loss)
        if classes is None and self.settings.scales:
            settings = self._in_target_units(settings, block.labels)
        width = self._width(block)
        self.require_room(Model(settings, 1, classes), width, self._race_bytes(block))
        if slow := slow_replay(settings, classes, rows_in(block, width)):
            self.note(f"slow: {slow}")
        if self.settings.chooses_rate:
            settings = self._raced(settings, width, classes, block, rows)
        return Model(settings, width, classes)

    def _in_target_units(self, settings: Settings, labels: Array) -> Settings:
        """The settings with the map of the numbers to be learnt, and an epsilon that is open as a share of their size."""
        if settings.loss not in DEGREE:
            return settings
        centred = self.settings.intercept
        centre, size = measure(labels, centred=centred)
        settings = settings._replace(centre=centre, size=size)
        if self.settings.epsilon is None and has_epsilon(settings.loss):
            settings = settings._replace(epsilon=EPSILON * size)
            what = "deviation" if centred else "root mean square"
            self.note(f"epsilon {settings.epsilon:.3g}, a tenth of the target's {what}; another: --epsilon")
        return settings

    def _note_order(self, labels: Array, classes: Array | None) -> None:
        """Say so where the rows are in an order, which a larger file should not have."""
        orders = [f"column {name!r}" for name in self.stream.ordered]
        if come_in_runs(labels, classes):
            orders.append("the target")
        if orders:
            self.note(
                f"rows come in order of {' and '.join(orders)}: they are mixed, beyond the first {FIRST.rows} among {LATER.rows} each; mix a larger file beforehand, or its end counts most"
            )

    def _raced(
        self, settings: Settings, width: int, classes: Array | None, block: Block, rows: Array | None
    ) -> Settings:
        """The settings with the learning rate that learns the first chunk best."""
        model = Model(settings, width, classes)
        require_known(model, block)
        chosen = np.arange(len(block.labels)) if rows is None else rows
        if len(chosen) > RACED:
            chosen = np.random.default_rng(self.settings.seed).choice(chosen, RACED, replace=False)
        weights = None if block.weights is None else block.weights[chosen].astype(np.float64)
        targets = model.encode(block.labels)[chosen]
        sample = rows_of(part(rows_in(block, width), chosen))
        del model  # its memory is the race's
        if len(chosen) >= LEAST_RACED:
            settings, _ = race(
                settings, width, classes, sample, targets, weights, passes=1, seed=self.settings.seed
            )
            rate = settings.rule.values["lr"]
            self.note(f"learning rate {rate:g}: the best of a short race on the first rows")
        else:
            rate = settings.rule.values["lr"]
            self.note(f"learning rate {rate:g}: the rule's own, for want of rows to choose by")
        return settings

    def _width(self, block: Block) -> int:
        if self.fold is not None:
            return 1 << self.fold
        return self.stream.features or room_for(block.features)

    def require_likely_width(self, features: int) -> None:
        """Raise HyperparameterError where an index of SVMlight lies far beyond what files of their size can hold.

        A feature index is not an allocation: it may be a hash, or an identity number.
        """
        if self.stream.features is not None or self.fold is not None or features <= LARGE:
            return
        if self.stream.pipe is not None or any(p.suffix in SUFFIXES for p in self.stream.paths):
            return
        possible = sum(p.stat().st_size for p in self.stream.paths) // LEAST_ENTRY
        if features > LARGE_SHARE * possible:
            raise HyperparameterError(
                f"--bits: index {features - 1} asks for weights of so many features, of which these files can hold {possible}; hash them (--bits 22), or say that they are meant (--features {features})"
            )

    def _race_bytes(self, block: Block) -> int:
        """How much memory the rows take that a race is run on: drawn, put in order, and at hand."""
        share = min(1.0, RACED / max(1, len(block.labels))) if self.settings.chooses_rate else 0.0
        return int(3 * share * (block.indices.nbytes + block.values.nbytes))

    def require_room(self, model: Model, width: int, beside: int = 0) -> None:
        """Raise HyperparameterError where a model of that width, and so many bytes beside it, do not fit in memory."""
        numeric = self.stream.format in ("csv", "parquet") and not self.stream.layout["text"]
        remedy = "" if numeric else ", or fewer --bits"
        self.budget.check(width, model.bytes_per_feature, remedy, beside)

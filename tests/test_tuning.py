"""Learning rates side by side: what counts as having arrived."""

import numpy as np

from thalweg import SGD, RMSprop
from thalweg.lab.dimensions import Range
from thalweg.lab.methods import method
from thalweg.lab.search import ROUNDS, TASKS, Search, Task, Tuner, landscape, try_rates


def test_passing_by_is_not_arriving() -> None:
    """A swing of lr/2 dips below the target and leaves it again; with ``stay`` that does not count."""
    on, start = landscape("beale"), np.array([1.0, 1.0])
    passed, stayed = (
        try_rates(RMSprop(beta=0.9), on, np.array([0.01, 0.1]), 4000, 1e-3, start=start, stay=s)
        for s in (False, True)
    )
    assert np.all(np.isfinite(passed.reached))
    assert np.isfinite(stayed.reached[0])
    assert np.isinf(stayed.reached[1])
    assert np.all(stayed.reached >= passed.reached)


def test_a_descent_without_swing_arrives_when_it_passes() -> None:
    """Gradient descent below the stability limit of a quadratic comes down for good: both counts agree."""
    on = landscape("quadratic-2d")
    passed, stayed = (
        try_rates(SGD(), on, np.array([0.1, 0.5]), 4000, 1e-4, start=np.ones(2), stay=s)
        for s in (False, True)
    )
    np.testing.assert_array_equal(passed.reached, stayed.reached)


def test_a_task_is_the_median_of_three_runs_around_its_start() -> None:
    """The middle of the steps from three seeded starts, moved from the first usual start to the task's."""
    task = Task("beale", 1e-3, 2000, (-1.5, -1.5))
    on, lrs = landscape("beale"), np.array([0.01])
    rule = RMSprop(beta=0.9)
    shift = np.array([-1.5, -1.5]) - on.starts[0]
    alone = [
        try_rates(rule, on, lrs, 2000, 1e-3, start=on.start(seed) + shift, stay=True).reached[0]
        for seed in range(3)
    ]
    assert task.tried(rule, lrs).reached[0] == np.median(alone)


def test_tasks_begin_at_every_usual_start_of_their_problems() -> None:
    """None is left out: choosing starts would choose the winner."""
    for name in {task.problem for task in TASKS}:
        usual = {tuple(map(float, s)) for s in landscape(name).starts}
        first = landscape(name).starts[0]
        used = {tuple(map(float, task.start or first)) for task in TASKS if task.problem == name}
        assert used == usual


def searched(best: float, trials: int) -> Search:
    """A search by a tuner whose losses grow with the decades from the best rate."""
    search = Search(method(SGD()), {"lr": Range(1e-5, 1e1)})
    for _, proposals in Tuner([search], trials, 0).rounds():
        for s, settings in proposals:
            s.add(settings, abs(np.log10(settings["lr"] / best)))
    return search


def test_ranges_widen_until_the_best_lies_inside() -> None:
    """One and a half decades beyond the range it is found, in at most 1.75 times the trials; inside nothing is added."""
    for best in (10**2.0, 10**-6.5):
        search = searched(best, 24)
        assert 24 < len(search.tried) <= 1.75 * 24
        assert not search.open_edges
        assert search.best is not None and abs(np.log10(search.tried[search.best]["lr"] / best)) < 0.6
    assert len(searched(1e-2, 24).tried) == 24


def test_an_edge_is_said_where_nothing_beyond_was_tried() -> None:
    far = searched(1e9, 24)
    assert far.open_edges == ["lr"] and len(far.tried) == 24 + ROUNDS * 6
    far.add({"lr": 1e9}, 100.0)  # worse, but tried
    assert not far.open_edges


def test_one_lucky_trial_makes_no_edge() -> None:
    search = Search(method(SGD()), {"lr": Range(1e-5, 1e1)})
    for lr, loss in ((9.0, 0.1), (1e-3, 0.2), (2e-3, 0.2), (3e-3, 0.2), (4e-3, 0.2)):
        search.add({"lr": lr}, loss)
    assert not search.edges


def test_finalists_are_chosen_by_all_their_seeds() -> None:
    """The luckiest of few seeds gives way; what is no finalist is not chosen, whatever it had."""
    search = Search(method(SGD()), {"lr": Range(1e-5, 1e1)})
    for k, loss in enumerate([0.5, 0.1, 0.2, 0.3, np.inf, 0.4, 0.6]):
        search.add({"lr": 10.0**-k}, loss)
    assert search.finalists == [1, 2, 3, 5, 0] and search.best == 1
    search.finals = dict(zip(search.finalists, [0.9, 0.8, 0.7, 0.75, 0.95], strict=True))
    assert search.best == 3 and search.chosen == {"lr": 1e-3}

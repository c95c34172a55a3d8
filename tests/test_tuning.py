"""Learning rates side by side: what counts as having arrived."""

import numpy as np

from thalweg import SGD, RMSprop
from thalweg.lab.search import TASKS, Task, landscape, try_rates


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

"""The time left for several runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.plugin import load_plugins
from mamlbench.progress.time_left import TimeLeft
from mamlbench.run_spec import RunRequest
from mamlbench.runner.plan import plan


@pytest.fixture(scope="module")
def specs():
    """Two seeds of two methods."""
    return plan(RunRequest(algorithms=("maml", "fomaml"), seeds=2, iterations=100, device="cpu"), load_plugins())


@pytest.fixture
def now():
    return [100.0]


def test_nothing_is_known_before_the_first_iterations(specs, now):
    left = TimeLeft(specs, lambda: now[0])
    left.begun(specs[0])
    assert left.seconds() is None
    left.reached(specs[0], 1)
    assert left.seconds() is None


def test_what_is_done_once_is_not_counted_for_every_iteration(specs, now):
    left = TimeLeft(specs[:1], lambda: now[0])
    left.begun(specs[0])
    now[0] += 50  # data, engines
    left.reached(specs[0], 1)
    now[0] += 9
    left.reached(specs[0], 10)
    assert left.seconds() == pytest.approx(50 + 100 - 59)


def test_each_method_has_its_own_duration(specs, now):
    left = TimeLeft(specs, lambda: now[0])
    durations = {"maml": 60.0, "fomaml": 20.0}
    first, others = [], []
    for spec in specs:
        (first if spec.seed == specs[0].seed else others).append(spec)
    for spec in first:
        left.begun(spec)
        now[0] += durations[spec.algorithm.name]
        left.ended(spec)
    assert left.done == 2
    assert left.seconds() == pytest.approx(sum(durations[spec.algorithm.name] for spec in others))


def test_runs_at_the_same_time_share_the_time_left(specs, now):
    left = TimeLeft(specs[:2], lambda: now[0])
    for spec in specs[:2]:
        left.begun(spec)
        left.reached(spec, 0)
    now[0] += 10
    for spec in specs[:2]:
        left.reached(spec, 50)
    assert left.seconds() == pytest.approx(10)


@given(steps=st.lists(st.integers(0, 100), min_size=1, max_size=6).map(sorted), pauses=st.floats(0, 1e6))
def test_an_estimate_is_never_negative_and_ends_at_nothing(specs, steps, pauses):
    now = [0.0]
    left = TimeLeft(specs[:2], lambda: now[0])
    left.begun(specs[0])
    for step in steps:
        now[0] += pauses
        left.reached(specs[0], step)
        assert (left.seconds() or 0.0) >= 0
    for spec in specs[:2]:
        left.ended(spec)
    assert not left.seconds()

"""The verdict on a speedrun: Student's test over seeds, and when a claim does not count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from mamlbench.bench.speedrun.speedrun_verdict import judge_speedrun, p_below
from mamlbench.record.environment import Environment
from mamlbench.record.speedrun_target import SpeedrunEntry, SpeedrunResult, SpeedrunTarget, SpeedrunTrial

ENVIRONMENT = Environment(python="3.12", platform="linux", cpu="cpu", cores=2, packages={}, code_hash="0")


@pytest.fixture
def target():
    entry = {"name": "base", "track": "A", "about": "x", "phase": [{"algorithm": "maml", "iterations": 1}]}
    return SpeedrunTarget(
        name="goal",
        about="x",
        dataset="glyphs",
        ways=5,
        shots=1,
        queries=1,
        test_episodes=600,
        mode="transductive",
        score=0.98,
        level=0.01,
        seeds=5,
        track=[{"name": "A", "rule": "x", "baseline": "base"}],
        entry=[entry],
    )


def result(target, scores, *, busy=False):
    trials = [
        SpeedrunTrial(seed=seed, score=score, training_seconds=60 + seed, device_seconds=100, records=("r",))
        for seed, score in enumerate(scores)
    ]
    return SpeedrunResult(
        target=target.name,
        entry=target.entry[0],
        is_baseline=True,
        trials=trials,
        environment=ENVIRONMENT,
        date="2026-11-30",
        busy=busy,
    )


@given(st.lists(st.floats(0.9, 1), min_size=3, max_size=8, unique=True))
def test_p_is_that_of_students_distribution(scores):
    count = len(scores)
    mean = sum(scores) / count
    error = (sum((score - mean) ** 2 for score in scores) / (count - 1) / count) ** 0.5
    if error > 1e-9:
        assert p_below(scores, 0.98) == pytest.approx(t.sf((mean - 0.98) / error, count - 1), rel=1e-6, abs=1e-12)


def test_what_cannot_be_tested():
    assert p_below([0.99], 0.98) == 1
    assert p_below([0.99, 0.99], 0.98) == 0
    assert p_below([0.98, 0.98], 0.98) == 1


def test_a_claim_that_counts(target):
    verdict = judge_speedrun(target, result(target, [0.985, 0.984, 0.986, 0.985, 0.987]))
    assert verdict.reached and not verdict.reason
    assert verdict.score == pytest.approx(0.9854) and verdict.training_seconds == 62


@pytest.mark.parametrize(
    ("scores", "busy", "reached", "reason"),
    [
        ([0.985, 0.984, 0.986], False, False, "3 of 5 seeds"),
        ([0.985, 0.97, 0.986, 0.97, 0.987], False, False, "p = 0.54, not below 0.01"),
        ([0.985, 0.984, 0.986, 0.985, 0.987], True, True, "the machine was busy"),
    ],
)
def test_a_claim_that_does_not_count(target, scores, busy, reached, reason):
    verdict = judge_speedrun(target, result(target, scores, busy=busy))
    assert verdict.reached == reached and verdict.reason.startswith(reason[:9])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entry": ()}, "there is no entry 'base'"),
        ({"track": [{"name": "B", "rule": "x", "baseline": "base"}]}, "there is no track 'A'"),
        ({"track": [{"name": "A", "rule": "x", "baseline": "base"}] * 2}, "track 'A' is there twice"),
    ],
)
def test_a_target_whose_names_do_not_fit(target, change, message):
    with pytest.raises(ValueError, match=message):
        SpeedrunTarget.model_validate({**target.model_dump(), **change})


def test_a_phase_cannot_change_the_data(target):
    phase = {"algorithm": "maml", "iterations": 1, "options": {"dataset.classes": 3}}
    with pytest.raises(ValueError, match="are the target's"):
        SpeedrunEntry(name="x", track="A", about="x", phase=[phase])

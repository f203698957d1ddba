"""Comparisons for new classes: the interval of a paired difference, and false alarms if classes have effects."""

import numpy as np
import pytest

from mamlbench.report.statistics.significance_tests import compare
from mamlbench.shared_classes import interval_for_new_classes, shared_classes
from mamlbench.student_t import LEVEL

TRIALS, EPISODES, WAYS = 1000, 200, 5
SLACK = 2 * np.sqrt(LEVEL * (1 - LEVEL) / TRIALS)


@pytest.fixture
def draw():
    """Draw scores of two algorithms ``[2, trials, seeds, episodes]`` with the same mean over all classes."""

    def make(classes, seeds, *, class_spread, seed_class_spread=0.0, seed_spread=0.0, seed=0):
        generator = np.random.default_rng(seed)
        in_episodes = np.argsort(generator.random((EPISODES, classes)), -1)[:, :WAYS]

        def effects(spread, seeds):
            return generator.normal(0, spread, (2, TRIALS, seeds, classes))[..., in_episodes].mean(-1)

        scores = effects(class_spread, 1) + effects(seed_class_spread, seeds)
        scores = scores + generator.normal(0, seed_spread, (2, TRIALS, seeds, 1))
        return scores + generator.normal(0, 0.2, scores.shape), shared_classes(in_episodes)

    return make


def alarms(comparison):
    return np.mean(comparison.conservative_p_value < LEVEL)


def test_two_checkpoints_have_the_interval_of_their_paired_differences(draw):
    (first, second), shared = draw(20, 1, class_spread=0.1)
    comparison = compare(first[0], second[0], shared=shared)
    differences = (first - second)[0, 0]
    expected = interval_for_new_classes(differences.mean(), differences, shared)
    assert comparison.claim == "checkpoints"
    assert tuple(map(float, comparison.confidence_interval())) == pytest.approx((expected.low, expected.high))
    today = compare(first[0], second[0])
    assert float(comparison.standard_error) > float(today.standard_error)
    assert float(comparison.difference) == float(today.difference)


@pytest.mark.parametrize("classes, spread", [(20, 0.1), (20, 0.4), (100, 0.2)])
def test_equal_checkpoints_differ_in_their_classes_but_not_in_new_ones(draw, classes, spread):
    (first, second), shared = draw(classes, 1, class_spread=spread)
    assert alarms(compare(first, second)) > 0.08, "these checkpoints do differ in these classes"
    assert alarms(compare(first, second, shared=shared)) <= LEVEL + SLACK


@pytest.mark.parametrize("classes", [20, 100])
@pytest.mark.parametrize("seeds, spread, seed_class_spread", [(3, 0.02, 0.0), (3, 0.0, 0.2), (5, 0.02, 0.2)])
def test_equal_algorithms_are_called_different_in_at_most_five_percent(draw, classes, seeds, spread, seed_class_spread):
    settings = {"class_spread": 0.2, "seed_class_spread": seed_class_spread, "seed_spread": spread}
    (first, second), shared = draw(classes, seeds, **settings)
    comparison = compare(first, second, shared=shared)
    assert comparison.claim == "algorithms" and alarms(comparison) <= LEVEL + SLACK
    low, high = comparison.confidence_interval()
    assert 0.93 <= np.mean((low < 0) & (high > 0)) <= 0.985
    gate = compare(first, second, equal_variance=True, shared=shared)
    low, high = gate.confidence_interval()
    assert 0.93 <= np.mean((low < 0) & (high > 0)) <= 0.985


def test_seeds_that_differ_in_single_classes_count_once(draw):
    """Their deviations are part of the spread of the seeds' means and of that between classes."""
    (first, second), shared = draw(20, 4, class_spread=0.0, seed_class_spread=0.4)
    comparison = compare(first, second, shared=shared)
    true = (first - second).mean((-1, -2)).var()
    assert np.mean(comparison.standard_error**2) == pytest.approx(true, rel=0.15)


def test_a_difference_between_algorithms_is_found(draw):
    (first, second), shared = draw(100, 5, class_spread=0.1, seed_spread=0.01)
    assert np.mean(compare(first + 0.1, second, shared=shared).conservative_p_value < LEVEL) > 0.9

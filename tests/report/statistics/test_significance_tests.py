"""Comparisons against known results, and error rates measured in two thousand simulated trials."""

import numpy as np
import pytest
from scipy import stats

from mamlbench.report.statistics.significance_tests import compare
from mamlbench.student_t import LEVEL

TRIALS, EPISODES = 2000, 150  # the defaults of ``simulate``
SLACK = 2 * np.sqrt(LEVEL * (1 - LEVEL) / TRIALS)
"""Two standard errors of a rate of 5 % measured in so many trials."""


@pytest.fixture
def pair(simulate, difficulty):
    """Simulate two algorithms on shared episodes, of equal skill or the first better by ``gap``."""

    def make(seeds, gap=0.0, seed=0, skill=0.8, **settings):
        generator = np.random.default_rng(seed)
        shared = difficulty(generator)
        first = simulate(generator, seeds, shared, skill=skill, **settings)
        return first, simulate(generator, seeds, shared, skill=skill - gap, **settings)

    return make


def test_checkpoints_are_compared_by_the_paired_t_test():
    generator = np.random.default_rng(1)
    first, second = generator.normal(0.1, 1, (2, 50))
    expected = stats.ttest_rel(first, second)
    comparison = compare(first[None], second[None])
    assert comparison.claim == "checkpoints"
    assert float(comparison.p_value) == pytest.approx(expected.pvalue)
    interval = tuple(map(float, comparison.confidence_interval()))
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert float(comparison.effect_size) == pytest.approx((first - second).mean() / (first - second).std(ddof=1))


def test_without_variance_between_episodes_algorithms_are_compared_by_welchs_test():
    first, second = np.array([0.80, 0.83, 0.82, 0.90]), np.array([0.70, 0.78, 0.76])
    comparison = compare(np.repeat(first[:, None], 5, 1), np.repeat(second[:, None], 5, 1))
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert comparison.claim == "algorithms"
    assert float(comparison.p_value) == pytest.approx(expected.pvalue)
    assert float(comparison.conservative_p_value) > expected.pvalue
    interval = tuple(map(float, comparison.confidence_interval()))
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_without_variance_between_seeds_only_the_episodes_count():
    generator = np.random.default_rng(2)
    first, second = generator.normal(0.1, 1, (2, 50))
    comparison = compare(np.tile(first, (3, 1)), np.tile(second, (3, 1)))
    assert float(comparison.p_value) == pytest.approx(stats.ttest_rel(first, second).pvalue)


@pytest.mark.parametrize("seeds", [1, 3])
def test_without_any_variance_scores_are_equal_or_different(seeds):
    ones = np.ones((seeds, 10))
    assert float(compare(ones, ones).p_value) == 1
    assert float(compare(ones, ones * 0.9).p_value) == 0
    assert compare(ones, ones).is_equivalent(0.01)
    assert not compare(ones, ones * 0.9).is_equivalent(0.01)


def test_fewer_than_three_seeds_make_no_claim_about_algorithms():
    generator = np.random.default_rng(3)
    assert compare(generator.random((2, 20)), generator.random((5, 20))).claim == "checkpoints"
    assert compare(generator.random((3, 20)), generator.random((5, 20))).claim == "algorithms"


def test_episodes_must_be_shared():
    with pytest.raises(ValueError, match="shared episodes are needed, not 5 and 6"):
        compare(np.ones((1, 5)), np.ones((1, 6)))


@pytest.mark.parametrize("seeds, spread", [(1, 0.0), (3, 0.0), (3, 0.01), (3, 0.03), (6, 0.01)])
@pytest.mark.parametrize("skill", [0.8, 0.97], ids=["80 %", "97 %"])
def test_the_false_positive_rate_is_at_most_five_percent(pair, seeds, spread, skill):
    comparison = compare(*pair(seeds, seed_spread=spread, skill=skill))
    assert np.mean(comparison.p_value < LEVEL) <= LEVEL + SLACK
    assert np.mean(comparison.conservative_p_value < LEVEL) <= LEVEL + SLACK


@pytest.mark.parametrize("counts", [(3, 10), (3, 5), (10, 4)])
def test_so_is_the_conservative_one_if_the_side_with_fewer_seeds_varies_more(simulate, difficulty, counts):
    generator = np.random.default_rng(14)
    shared = difficulty(generator)
    spreads = [0.1 if count == min(counts) else 0.025 for count in counts]
    sides = [
        simulate(generator, count, shared, seed_spread=spread) for count, spread in zip(counts, spreads, strict=True)
    ]
    comparison = compare(*sides)
    assert np.mean(comparison.conservative_p_value < LEVEL) <= LEVEL + SLACK
    if counts == (3, 10):  # why the marks in tables do not use the test that matches the interval
        assert np.mean(comparison.p_value < LEVEL) > LEVEL + SLACK


@pytest.mark.parametrize("seeds, spread", [(1, 0.0), (3, 0.0), (3, 0.01), (3, 0.02), (3, 0.05), (6, 0.02)])
def test_the_confidence_interval_covers_the_true_difference(pair, seeds, spread):
    comparison = compare(*pair(seeds, gap=0.05, seed_spread=spread, seed=5, skill=0.6))
    low, high = comparison.confidence_interval()
    # at 60 % few scores are clipped to 1, so the means move by less than the simulation can measure
    assert 0.93 <= np.mean((low < 0.05) & (high > 0.05)) <= 0.97


@pytest.mark.parametrize("counts", [(3, 3), (1, 5), (2, 6)])
@pytest.mark.parametrize("spread", [0.0, 0.01, 0.03])
def test_other_seeds_of_one_algorithm_are_rarely_significant_with_equal_variance(simulate, difficulty, counts, spread):
    """The case of the gate: the same algorithm with other training seeds."""
    generator = np.random.default_rng(11)
    shared = difficulty(generator)
    interaction = generator.normal(0, 0.05, (TRIALS, 1, EPISODES))  # shared too: it is the same algorithm
    sides = [simulate(generator, count, shared + interaction, interaction=0, seed_spread=spread) for count in counts]
    comparison = compare(*sides, equal_variance=True)
    assert comparison.claim == "algorithms"
    assert np.mean(comparison.p_value < LEVEL) <= LEVEL + SLACK
    low, high = comparison.confidence_interval()
    assert 0.93 <= np.mean((low < 0) & (high > 0)) <= 0.97


@pytest.mark.parametrize("counts", [(3, 3), (3, 10), (10, 3)])
def test_run_times_are_compared_by_students_test(counts):
    """Times have no episodes. The test is exact for equal variances, whatever the numbers of runs."""
    generator = np.random.default_rng(13)
    logs = [generator.normal(0, 0.05, (10 * TRIALS, count)) for count in counts]
    comparison = compare(*(np.repeat(side[..., None], 2, axis=-1) for side in logs), equal_variance=True)
    assert np.allclose(comparison.p_value, stats.ttest_ind(*logs, axis=-1).pvalue)
    assert abs(np.mean(comparison.p_value < LEVEL) - LEVEL) < SLACK / 2


def test_two_checkpoints_of_one_algorithm_differ_more_often_than_chance(simulate, difficulty):
    """Why few seeds make no claim about algorithms: the paired test finds that two checkpoints differ."""
    generator = np.random.default_rng(12)
    shared = difficulty(generator)
    sides = [simulate(generator, 1, shared, interaction=0, seed_spread=0.02) for _ in range(2)]
    comparison = compare(*sides)
    assert comparison.claim == "checkpoints" and np.mean(comparison.p_value < LEVEL) > LEVEL + 2 * SLACK


def test_fewer_than_six_seeds_in_total_make_no_claim_with_equal_variance():
    generator = np.random.default_rng(13)
    assert compare(generator.random((2, 20)), generator.random((3, 20)), equal_variance=True).claim == "checkpoints"
    assert compare(generator.random((1, 20)), generator.random((5, 20)), equal_variance=True).claim == "algorithms"


@pytest.mark.parametrize("seeds, spread", [(1, 0.0), (5, 0.01)])
def test_the_minimum_detectable_effect_is_found_in_four_of_five_trials(pair, seeds, spread):
    gap = float(np.mean(compare(*pair(seeds, seed_spread=spread, skill=0.55)).minimum_detectable_effect))
    comparison = compare(*pair(seeds, gap=gap, seed_spread=spread, seed=6, skill=0.55))
    assert 0.74 <= np.mean((comparison.conservative_p_value < LEVEL) & (comparison.difference > 0)) <= 0.86


def test_a_bootstrap_of_three_seeds_would_claim_too_much(pair):
    """Why seeds are not resampled: three of them do not show how much a fourth would differ."""
    resamples = 200
    alarms = []
    generator = np.random.default_rng(7)
    for scores in list(zip(*pair(3, seed_spread=0.05, skill=0.6), strict=True))[:1000]:
        episodes = generator.multinomial(EPISODES, np.full(EPISODES, 1 / EPISODES), resamples) / EPISODES
        seeds = [generator.multinomial(3, [1 / 3] * 3, resamples) / 3 for _ in scores]
        first, second = ((weights @ side * episodes).sum(1) for weights, side in zip(seeds, scores, strict=True))
        low, high = np.quantile(first - second, [LEVEL / 2, 1 - LEVEL / 2])
        alarms.append(low > 0 or high < 0)
    assert np.mean(alarms) > 2 * LEVEL
    assert np.mean(compare(*pair(3, seed_spread=0.05, skill=0.6)).p_value < LEVEL) <= LEVEL + SLACK


def test_equivalence_is_shown_if_it_holds_and_rarely_at_the_margin(pair):
    margin = 0.05
    assert np.mean(compare(*pair(5, seed_spread=0.005)).is_equivalent(margin)) > 0.95
    first, second = pair(5, gap=margin, seed_spread=0.005, seed=8, skill=0.6)
    assert np.mean(compare(first, second).is_equivalent(margin)) <= LEVEL + SLACK
    assert np.mean(compare(second, first).is_noninferior(margin)) <= LEVEL + SLACK
    assert np.mean(compare(first, second).is_noninferior(margin)) > 0.99, "the first is the better one"


def test_seeds_that_happen_to_be_alike_leave_as_many_degrees_of_freedom_as_there_are():
    """Otherwise a fraction of one is left, and an interval of ±70 points where seeds differ by one."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.2, (2000, 2, 4, 300))
    first, second = noise[:, 0], noise[:, 1]  # seeds that do not differ at all
    comparison = compare(first, second, equal_variance=True)
    assert comparison.degrees_of_freedom.min() >= 6
    low, high = comparison.confidence_interval()
    assert (high - low).max() < 0.1
    assert 0.94 < np.mean((low <= 0) & (high >= 0)) < 0.98

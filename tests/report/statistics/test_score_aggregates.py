"""Aggregates over runs and cells: the papers' definitions, written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mamlbench.report.statistics.score_aggregates import (
    bootstrap_interval,
    bootstrap_values,
    expanded_tail,
    interquartile_mean,
    percentile_interval,
    performance_profile,
    probability_of_improvement,
)

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 6))
VALUES = st.integers(-4, 4).map(float)
SCORES = SIZES.flatmap(lambda shape: arrays(float, shape, elements=VALUES))


def test_the_interquartile_mean_leaves_out_a_quarter_at_either_end():
    scores = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 1000.0]])
    assert interquartile_mean(scores) == 3.5  # of 2, 3, 4 and 5
    assert interquartile_mean(np.stack([scores, scores + 1])).tolist() == [3.5, 4.5]


@given(SCORES)
def test_a_profile_is_the_share_of_scores_above_each_threshold(scores):
    thresholds = np.array([-5.0, -1.0, 0.0, 0.5, 4.0])
    profile = performance_profile(scores, thresholds)
    assert profile.tolist() == pytest.approx([np.mean(scores > threshold) for threshold in thresholds])
    assert performance_profile(np.stack([scores, scores]), thresholds)[1] == pytest.approx(profile)


@given(SIZES.flatmap(lambda shape: st.tuples(*[arrays(float, shape, elements=VALUES)] * 2)))
def test_improvements_of_a_pair_add_up_to_one_and_ties_count_half(pair):
    first, second = pair
    probability = probability_of_improvement(first, second)
    assert probability + probability_of_improvement(second, first) == pytest.approx(1)
    assert probability_of_improvement(first, first) == pytest.approx(0.5)
    wins = [
        np.mean([(x > y) + (x == y) / 2 for x in first[:, cell] for y in second[:, cell]])
        for cell in range(first.shape[1])
    ]
    assert probability == pytest.approx(np.mean(wins))


def test_runs_are_drawn_within_their_cells():
    """Each cell's runs are equal, so that an interval for these cells has no width; one for new cells has."""
    scores = np.tile([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], (3, 1))
    assert bootstrap_interval(interquartile_mean, scores, resamples=200).tolist() == [3.5, 3.5]
    low, high = bootstrap_interval(interquartile_mean, scores, resamples=200, new_cells=True)
    assert low < 3 and high > 4


def test_an_interval_is_the_same_each_time_and_depends_on_the_seed():
    scores = np.random.default_rng(0).normal(size=(3, 5))
    first, again, other = (
        bootstrap_interval(interquartile_mean, scores, resamples=100, seed=seed) for seed in (0, 0, 1)
    )
    assert first.tolist() == again.tolist() != other.tolist()
    assert first[0] < interquartile_mean(scores) < first[1]


def test_the_expanded_tail_is_that_of_hesterberg():
    """For one sample of 10: 0.025 becomes Phi(sqrt(10 / 9) t_9(0.025)); with many values nothing changes."""
    assert expanded_tail(10, 9) == pytest.approx(stats.norm.cdf(np.sqrt(10 / 9) * stats.t.ppf(0.025, 9)))
    assert expanded_tail(10, 9) == pytest.approx(0.0085, abs=2e-4)
    assert expanded_tail(10**6, 10**6) == pytest.approx(0.025, rel=1e-3)


@pytest.mark.parametrize(("cells", "runs"), [(5, 3), (8, 3), (5, 5), (8, 10)])
def test_the_expanded_interval_covers_more_often_than_the_percentiles(cells, runs):
    generator = np.random.default_rng(0)
    quantiles = 0.02 * stats.norm.ppf((np.arange(200) + 0.5) / 200)
    tails = (0.025, expanded_tail(runs, cells * (runs - 1) / 2))
    hits = np.zeros(2)
    for trial in range(150):
        means = generator.uniform(0.4, 0.9, cells)
        truth = interquartile_mean(means + quantiles[:, None])
        scores = generator.normal(means, 0.02, (runs, cells))
        values = bootstrap_values(interquartile_mean, scores, resamples=300, seed=trial)
        hits += [low <= truth <= high for low, high in (percentile_interval(values, tail) for tail in tails)]
    assert hits[0] <= hits[1] and hits[1] / 150 > 0.85

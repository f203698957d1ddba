"""Two one-sided tests against a number whose own uncertainty is known by its ± alone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.report.reproduction.equivalence import Score, compare_with_source

means = st.floats(-200, 200)
errors = st.floats(0, 50)
freedom = st.one_of(st.integers(1, 5000).map(float), st.just(math.inf))
scores = st.builds(Score, means, errors, freedom)
sources = st.builds(Score, means, errors, st.just(math.inf))
margins = st.floats(0.01, 50)


@given(scores, sources, margins)
def test_the_kinds_exclude_one_another_and_mean_what_they_say(ours, source, margin):
    kind, mean, low, high = compare_with_source(ours, source, margin)
    assert low <= mean <= high
    inside = -margin < low and high < margin
    assert (kind == "reproduced") == inside
    if kind == "below":
        assert mean < 0 and high < 0
    if kind == "above":
        assert mean > 0 and low > 0


@given(scores, sources, margins)
def test_the_other_direction_is_the_opposite(ours, source, margin):
    opposite = {"below": "above", "above": "below"}
    forward = compare_with_source(ours, source, margin)
    mirrored = compare_with_source(ours._replace(mean=-ours.mean), source._replace(mean=-source.mean), margin)
    assert mirrored.kind == opposite.get(forward.kind, forward.kind)


@given(scores, sources, margins, st.floats(1, 10))
def test_a_wider_margin_keeps_what_is_reproduced(ours, source, margin, factor):
    if compare_with_source(ours, source, margin).kind == "reproduced":
        assert compare_with_source(ours, source, margin * factor).kind == "reproduced"


@given(scores, sources, margins, st.floats(1, 100))
def test_more_uncertainty_of_the_source_never_decides(ours, source, margin, factor):
    """What an exact number leaves open, an uncertain one leaves open too."""
    if compare_with_source(ours, source._replace(standard_error=0.0), margin).kind == "inconclusive":
        wider = source._replace(standard_error=source.standard_error * factor)
        assert compare_with_source(ours._replace(degrees_of_freedom=math.inf), wider, margin).kind in (
            "inconclusive",
            compare_with_source(
                ours._replace(degrees_of_freedom=math.inf), source._replace(standard_error=0.0), margin
            ).kind,
        )


@given(means, margins)
def test_the_same_exact_number_is_reproduced(mean, margin):
    assert compare_with_source(Score(mean), Score(mean), margin).kind == "reproduced"


def test_it_is_the_test_of_schuirmann():
    """Against scipy's one-sided t-tests of our episodes, for a source without uncertainty."""
    from scipy import stats

    random = np.random.default_rng(0)
    for shift in (-1.2, -0.7, 0.0, 0.6, 1.1):
        sample = random.normal(shift, 2.0, 40)
        error, df = sample.std(ddof=1) / np.sqrt(40), 39
        difference = compare_with_source(Score(sample.mean(), error, df), Score(0.0), 1.0)
        p_low = stats.ttest_1samp(sample, -1.0, alternative="greater").pvalue
        p_high = stats.ttest_1samp(sample, 1.0, alternative="less").pvalue
        assert (difference.kind == "reproduced") == (max(p_low, p_high) < 0.05)
        low, high = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
        assert (difference.low, difference.high) == pytest.approx((low, high))


def test_with_two_uncertain_sides_it_is_welchs():
    from scipy import stats

    ours, source = Score(50.0, 0.8, 9), Score(49.0, 0.5, 30)
    df = (0.8**2 + 0.5**2) ** 2 / (0.8**4 / 9 + 0.5**4 / 30)
    half = stats.t.ppf(0.95, df) * math.hypot(0.8, 0.5)
    difference = compare_with_source(ours, source, 5.0)
    assert (difference.low, difference.high) == pytest.approx((1 - half, 1 + half))


@pytest.mark.parametrize("truth", [-1.0, 1.0])
def test_at_the_margin_one_in_twenty_is_called_reproduced(truth):
    """The test is as strict as it says: a true difference of a whole margin is called the same in 5 % of trials."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(2000):
        ours = Score(50 + truth + random.normal(0, 0.2), 0.2)
        source = Score(50 + random.normal(0, 0.15), 0.15)
        wrong += compare_with_source(ours, source, 1.0).kind == "reproduced"
    assert 0.035 < wrong / 2000 < 0.065

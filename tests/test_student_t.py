"""Student's t: one implementation for episodes, seeds and comparisons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamlbench.student_t import (
    confidence_interval,
    episodes_needed,
    half_width,
    standard_deviation,
    t_quantile,
)

numbers = st.lists(st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-3), min_size=2, max_size=40)


@given(st.floats(0.01, 0.99), st.integers(1, 1000))
def test_quantiles_are_scipys(probability, df):
    assert float(t_quantile(probability, df)) == pytest.approx(stats.t.ppf(probability, df))


@given(numbers.filter(lambda values: np.ptp(values) > 1e-3))
def test_the_interval_is_that_of_a_t_test(values):
    array = np.array(values)
    computed = confidence_interval(float(array.mean()), array)
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (computed.low, computed.high) == pytest.approx((low, high), rel=1e-12, abs=1e-9)
    assert standard_deviation(array) == pytest.approx(np.std(values, ddof=1), rel=1e-9)


@given(st.floats(-1e9, 1e9), st.integers(2, 30))
def test_equal_values_have_no_spread(value, count):
    array = np.full(count, value)
    assert standard_deviation(array) == half_width(array) == 0
    computed = confidence_interval(value, array)
    assert (computed.low, computed.mean, computed.high) == (value, value, value)


@given(numbers, st.integers(1, 4))
def test_rows_are_computed_as_each_by_itself(values, rows):
    array = np.array([np.roll(values, row) * (row + 1) for row in range(rows)])
    assert half_width(array).tolist() == pytest.approx([float(half_width(row)) for row in array])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[1e308, -1e308, 1e308], [1e308, 1e308], [float("inf"), 0.0], [float("nan"), 1.0]])
def test_values_without_a_finite_spread_raise_no_warning(values):
    array = np.array(values)
    with np.errstate(all="ignore"):
        mean = float(array.mean())
    confidence_interval(mean, array)


def test_the_values_needed_are_those_of_steins_first_stage():
    pilot = np.array([0.0, 1.0] * 50)
    by_hand = (stats.t.ppf(0.975, 99) * pilot.std(ddof=1) / 0.05) ** 2
    assert episodes_needed(pilot, 0.05) == np.ceil(by_hand) == 398
    assert episodes_needed(pilot, 0.5) == 100, "the pilot is enough"
    assert episodes_needed(np.ones(10), 1e-9) == 10
    assert episodes_needed(pilot, 1e-300) == 2**62


def test_an_interval_with_the_values_needed_covers_the_truth_and_has_the_width():
    generator = np.random.default_rng(0)
    values = generator.binomial(5, 0.7, (2000, 2000)) / 5
    counts = [episodes_needed(trial[:200], 0.015) for trial in values]
    halves = np.array([half_width(trial[:count]) for trial, count in zip(values, counts, strict=True)])
    means = np.array([trial[:count].mean() for trial, count in zip(values, counts, strict=True)])
    assert 500 < np.mean(counts) < 1000 and max(counts) < 2000
    assert np.abs(halves - 0.015).mean() < 0.001
    assert 0.94 <= np.mean(np.abs(means - 0.7) <= halves) <= 0.965
    assert means.mean() == pytest.approx(0.7, abs=0.0005), "the variance that decided says nothing about the mean"

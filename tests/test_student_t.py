"""Student's t: one implementation for episodes, seeds and comparisons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamlbench.student_t import confidence_interval, half_width, standard_deviation, t_quantile

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

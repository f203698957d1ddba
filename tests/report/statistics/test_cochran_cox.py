"""The test of Cochran and Cox against the tests that it is made of, and how often it is wrong, without chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from mamlbench.report.statistics.cochran_cox import cochran_cox, least_significant
from mamlbench.report.statistics.comparison import LEVEL


def p_value(difference, variances, freedoms):
    parts = [np.array([each]) for each in variances]
    return float(cochran_cox(np.array([difference]), parts, freedoms)[0])


def test_with_one_part_it_is_students_test():
    assert p_value(3.0, [4.0], [5]) == pytest.approx(2 * stats.t.sf(1.5, 5))
    assert p_value(3.0, [4.0, 0.0], [5, 2]) == pytest.approx(2 * stats.t.sf(1.5, 5)), "a part that does not vary"
    assert p_value(-3.0, [2.0, 1.0, 1.0], [5, 5, 5]) == pytest.approx(2 * stats.t.sf(1.5, 5))


def test_the_critical_value_is_the_weighted_mean_of_the_parts_own():
    by_hand = 2 * (0.75 * stats.t.ppf(0.975, 2) + 0.25 * stats.t.ppf(0.975, 9))  # variances 3 and 1: an error of 2
    assert float(least_significant(LEVEL, [np.array(3.0), np.array(1.0)], [2, 9])) == pytest.approx(by_hand)
    assert p_value(by_hand, [3.0, 1.0], [2, 9]) == pytest.approx(LEVEL)


@given(
    st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3),
    st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(99, 999)),
    st.floats(1e-12, 0.9),
)
def test_the_p_value_is_the_level_at_which_a_difference_is_just_significant(variances, freedoms, level):
    just = float(least_significant(level, [np.array(each) for each in variances], freedoms))
    assert p_value(just, variances, freedoms) == pytest.approx(level, rel=1e-6)


def test_what_has_no_error_is_equal_or_different_and_what_is_no_number_stays_none():
    zero = np.zeros(4)
    found = cochran_cox(np.array([0.0, 1.0, np.nan, -1.0]), [zero, zero], [2, 2])
    np.testing.assert_array_equal(found, [1.0, 0.0, np.nan, 0.0])
    assert np.isnan(p_value(1.0, [np.nan, 1.0], [2, 2]))
    assert p_value(1e200, [1.0, 1.0], [2, 2]) == p_value(1e3, [1.0, 1.0], [999, 999]) == 0


@pytest.mark.parametrize("sizes", [(3, 3), (3, 4), (3, 10), (5, 7), (10, 10)])
def test_of_two_parts_it_is_wrong_in_at_most_five_of_a_hundred_cases(sizes):
    """By quadrature over the share of one part in both: given it, the statistic is a multiple of Student's t."""
    one, other = (size - 1 for size in sizes)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    share = stats.beta.ppf((nodes + 1) / 2, one / 2, other / 2)
    for true in np.geomspace(1e-4, 1e4, 33):  # variance of the first part; the other's is 1
        parts = [true * share / one, (1 - share) / other]
        t = least_significant(LEVEL, parts, [one, other]) * np.sqrt((one + other) / (true + 1))
        wrong = float(weights @ special.stdtr(one + other, -t))
        assert wrong <= LEVEL + 1e-4

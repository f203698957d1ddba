"""The test of Cochran and Cox against Student's test, and its false-positive rate, computed without simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from mamlbench.report.statistics.cochran_cox import cochran_cox, least_significant_difference
from mamlbench.student_t import LEVEL


def p_value(difference, variances, degrees_of_freedom):
    parts = [np.array([variance]) for variance in variances]
    return float(cochran_cox(np.array([difference]), parts, degrees_of_freedom)[0])


def test_with_one_component_it_is_students_test():
    assert p_value(3.0, [4.0], [5]) == pytest.approx(2 * stats.t.sf(1.5, 5))
    assert p_value(3.0, [4.0, 0.0], [5, 2]) == pytest.approx(2 * stats.t.sf(1.5, 5)), "a component without variance"
    assert p_value(-3.0, [2.0, 1.0, 1.0], [5, 5, 5]) == pytest.approx(2 * stats.t.sf(1.5, 5))


def test_the_critical_value_is_the_weighted_mean_of_the_components_own():
    by_hand = 2 * (
        0.75 * stats.t.ppf(0.975, 2) + 0.25 * stats.t.ppf(0.975, 9)
    )  # variances 3 and 1: a standard error of 2
    assert float(least_significant_difference(LEVEL, [np.array(3.0), np.array(1.0)], [2, 9])) == pytest.approx(by_hand)
    assert p_value(by_hand, [3.0, 1.0], [2, 9]) == pytest.approx(LEVEL)


@given(
    st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3),
    st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(99, 999)),
    st.floats(1e-12, 0.9),
)
def test_the_p_value_is_the_level_at_which_a_difference_is_just_significant(variances, degrees_of_freedom, level):
    parts = [np.array(variance) for variance in variances]
    difference = float(least_significant_difference(level, parts, degrees_of_freedom))
    assert p_value(difference, variances, degrees_of_freedom) == pytest.approx(level, rel=1e-6)


def test_without_variance_differences_are_significant_unless_zero_and_nan_stays_nan():
    zero = np.zeros(4)
    p_values = cochran_cox(np.array([0.0, 1.0, np.nan, -1.0]), [zero, zero], [2, 2])
    np.testing.assert_array_equal(p_values, [1.0, 0.0, np.nan, 0.0])
    assert np.isnan(p_value(1.0, [np.nan, 1.0], [2, 2]))
    assert p_value(1e200, [1.0, 1.0], [2, 2]) == p_value(1e3, [1.0, 1.0], [999, 999]) == 0


@pytest.mark.parametrize("sizes", [(3, 3), (3, 4), (3, 10), (5, 7), (10, 10)])
def test_the_false_positive_rate_with_two_components_is_at_most_five_percent(sizes):
    """By quadrature over the share of one component: conditional on it, the statistic is a multiple of Student's t."""
    first_df, second_df = (size - 1 for size in sizes)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    share = stats.beta.ppf((nodes + 1) / 2, first_df / 2, second_df / 2)
    for true in np.geomspace(1e-4, 1e4, 33):  # variance of the first component; the second has 1
        parts = [true * share / first_df, (1 - share) / second_df]
        t = least_significant_difference(LEVEL, parts, [first_df, second_df]) * np.sqrt(
            (first_df + second_df) / (true + 1)
        )
        false_positives = float(weights @ special.stdtr(first_df + second_df, -t))
        assert false_positives <= LEVEL + 1e-4


def test_degrees_of_freedom_may_differ_from_problem_to_problem():
    variances = [np.array([3.0, 3.0, 1.0]), np.array([1.0, 1.0, 2.0])]
    degrees = np.array([9.0, 4.5, 30.0])
    differences = np.array([1.0, 4.0, 7.0])
    together = cochran_cox(differences, variances, [2, degrees])
    one_by_one = [p_value(differences[i], [variance[i] for variance in variances], [2, degrees[i]]) for i in range(3)]
    np.testing.assert_allclose(together, one_by_one)
    assert (
        least_significant_difference(LEVEL, variances, [2, degrees])[1]
        > (least_significant_difference(LEVEL, variances, [2, 9])[1])
    )

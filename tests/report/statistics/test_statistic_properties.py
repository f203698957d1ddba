"""What holds for every input: invariances, monotonicity, and numbers that scipy computes in its own way."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mamlbench.report.statistics.bayesian_signed_rank import signed_rank_posterior
from mamlbench.report.statistics.cochran_cox import cochran_cox, least_significant_difference
from mamlbench.report.statistics.mean_ranks import (
    cells_needed,
    critical_difference,
    friedman,
    nemenyi_p_values,
    ranks_of,
    smallest_p_value,
    wilcoxon_p_values,
)
from mamlbench.report.statistics.multiple_comparisons import compare_with_best, holm, may_be_best
from mamlbench.report.statistics.score_aggregates import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from mamlbench.report.statistics.significance_tests import compare
from mamlbench.student_t import LEVEL, confidence_interval, episodes_needed, half_width

SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.sampled_from([2.0**-10, 0.5, 8.0, 2.0**20])
"""Powers of two, so that scaled numbers are rounded alike."""


def draw_sides(seed, counts, episodes):
    generator = np.random.default_rng(seed)
    spread = generator.uniform(0.01, 1, 3)
    shared = generator.normal(0, spread[0], episodes)
    return [
        shared + generator.normal(0, spread[1], (count, 1)) + generator.normal(0, spread[2], (count, episodes))
        for count in counts
    ]


COUNTS = st.tuples(st.integers(1, 6), st.integers(1, 6))
SIDES = st.builds(draw_sides, SEEDS, COUNTS, st.integers(2, 40))
POOLED = st.booleans()


def fields(comparison):
    """The numbers of a comparison that have no sign of their own, but for the difference."""
    return np.array(
        [comparison.standard_error, comparison.degrees_of_freedom, comparison.p_value, comparison.conservative_p_value]
    )


@given(SIDES, POOLED)
def test_exchanging_the_sides_changes_the_sign_alone(sides, pooled):
    straight, reverse = compare(*sides, equal_variance=pooled), compare(*sides[::-1], equal_variance=pooled)
    assert fields(straight) == pytest.approx(fields(reverse))
    assert float(straight.difference) == pytest.approx(-float(reverse.difference))
    assert float(straight.effect_size) == pytest.approx(-float(reverse.effect_size))
    low, high = straight.confidence_interval()
    assert reverse.confidence_interval() == pytest.approx((-high, -low))


@given(SIDES, POOLED, SCALES, st.floats(-1, 1))
def test_another_unit_or_zero_of_the_scores_changes_no_p_value(sides, pooled, scale, shift):
    before = compare(*sides, equal_variance=pooled)
    after = compare(*[scale * (side + shift) for side in sides], equal_variance=pooled)
    assert fields(after)[1:] == pytest.approx(fields(before)[1:], rel=1e-5, abs=1e-9)
    assert float(after.difference) == pytest.approx(scale * float(before.difference), rel=1e-6, abs=1e-9 * scale)
    assert float(after.effect_size) == pytest.approx(float(before.effect_size), rel=1e-6, abs=1e-9)


@given(SIDES, POOLED, SEEDS)
def test_the_order_of_seeds_and_episodes_does_not_matter(sides, pooled, seed):
    generator = np.random.default_rng(seed)
    episodes = generator.permutation(sides[0].shape[1])
    shuffled = [generator.permutation(side)[:, episodes] for side in sides]
    one, other = (compare(*pair, equal_variance=pooled) for pair in (sides, shuffled))
    assert fields(one) == pytest.approx(fields(other), rel=1e-6, abs=1e-12)


@given(SIDES, POOLED)
def test_a_larger_difference_has_a_smaller_p_value(sides, pooled):
    first, second = (side - side.mean() for side in sides)
    compared = [compare(first + gap, second, equal_variance=pooled) for gap in (0.0, 0.01, 0.1, 1.0, 10.0)]
    for smaller, larger in pairwise(compared):
        assert float(larger.p_value) <= float(smaller.p_value) + 1e-12
        assert float(larger.conservative_p_value) <= float(smaller.conservative_p_value) + 1e-12
        assert larger.is_noninferior(0.05) >= smaller.is_noninferior(0.05)


@given(SIDES, POOLED)
def test_interval_and_p_value_say_the_same(sides, pooled):
    comparison = compare(*sides, equal_variance=pooled)
    assume(abs(float(comparison.p_value) - LEVEL) > 1e-9)
    low, high = map(float, comparison.confidence_interval())
    assert (low > 0 or high < 0) == (float(comparison.p_value) < LEVEL)
    assert low <= float(comparison.difference) <= high
    significant = abs(float(comparison.difference)) > float(comparison.least_significant_difference)
    assert significant == (float(comparison.conservative_p_value) < LEVEL)
    wider = comparison.confidence_interval(0.99)
    assert wider[0] <= low and high <= wider[1]


@given(SIDES, POOLED, st.floats(0.001, 2))
def test_equivalence_is_noninferiority_of_both_and_grows_with_the_margin(sides, pooled, margin):
    straight, reverse = compare(*sides, equal_variance=pooled), compare(*sides[::-1], equal_variance=pooled)
    both = straight.is_noninferior(margin) & reverse.is_noninferior(margin)
    assert straight.is_equivalent(margin) == reverse.is_equivalent(margin) == both
    assert straight.is_equivalent(2 * margin) >= straight.is_equivalent(margin)


@given(st.builds(draw_sides, SEEDS, st.just((1, 1)), st.integers(2, 60)))
def test_two_checkpoints_have_scipys_paired_t_test(sides):
    comparison, expected = compare(*sides), stats.ttest_rel(*sides, axis=-1)
    assert float(comparison.p_value) == pytest.approx(expected.pvalue[0])
    assert float(comparison.conservative_p_value) == float(comparison.p_value)
    interval = expected.confidence_interval(0.95)
    assert comparison.confidence_interval() == pytest.approx((interval.low[0], interval.high[0]))


SAMPLES = st.tuples(*[st.lists(st.integers(-1000, 1000).map(float), min_size=3, max_size=8)] * 2)


@given(SAMPLES)
def test_seeds_without_episodes_have_scipys_tests_for_two_samples(samples):
    assume(all(np.ptp(sample) > 0 for sample in samples))
    sides = [np.repeat(np.array(sample)[:, None], 2, axis=1) for sample in samples]
    assert float(compare(*sides, equal_variance=True).p_value) == pytest.approx(stats.ttest_ind(*samples).pvalue)
    welch = stats.ttest_ind(*samples, equal_var=False)
    assert float(compare(*sides).p_value) == pytest.approx(welch.pvalue)
    assert float(compare(*sides).degrees_of_freedom) == pytest.approx(welch.df)


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(P_VALUES)
def test_holm_is_the_closed_test_by_bonferroni(p_values):
    """Each hypothesis is rejected if Bonferroni rejects every set of hypotheses that holds it."""
    numbers = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(numbers, size)]
    closed = [
        max(min(1.0, len(chosen) * min(p_values[i] for i in chosen)) for chosen in sets if number in chosen)
        for number in numbers
    ]
    assert holm(p_values).tolist() == pytest.approx(closed)


@given(P_VALUES, st.integers(0, 20), SEEDS)
def test_holms_correction_raises_p_values_and_leaves_their_order(p_values, more, seed):
    array = np.array(p_values)
    adjusted = holm(array)
    assert (adjusted >= array).all() and (adjusted <= 1).all()
    order = np.argsort(array, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    shuffle = np.random.default_rng(seed).permutation(len(array))
    assert holm(array[shuffle]).tolist() == adjusted[shuffle].tolist()
    assert (holm(array, family_size=len(array) + more) >= adjusted).all()
    assert holm(np.stack([array, array[shuffle]])).tolist() == [adjusted.tolist(), adjusted[shuffle].tolist()]


@given(st.builds(draw_sides, SEEDS, st.tuples(*[st.integers(1, 5)] * 4), st.integers(2, 20)), st.booleans())
def test_the_best_row_is_always_among_the_best_whatever_the_order(rows, higher):
    sign = 1 if higher else -1
    best = max(range(4), key=lambda index: sign * rows[index].mean())
    compared = compare_with_best(rows, higher_is_better=higher)
    assert compared[best] == (True, None, None)
    others = [row for index, row in enumerate(compared) if index != best]
    assert all(sign * row.effect_size <= 0 and row.minimum_detectable_effect >= 0 for row in others)
    marks = may_be_best(rows, higher_is_better=higher)
    assert marks == [row.may_be_best for row in compared]
    assert marks[::-1] == may_be_best(rows[::-1], higher_is_better=higher)
    assert marks == may_be_best([-row for row in rows], higher_is_better=not higher)


VARIANCES = st.lists(st.tuples(st.floats(1e-3, 1e3), st.integers(2, 100)), min_size=1, max_size=4)


def cochran(difference, parts):
    return float(cochran_cox(np.array([difference]), [np.array([v]) for v, _ in parts], [df for _, df in parts])[0])


@settings(max_examples=20)
@given(st.floats(0.01, 100), VARIANCES, SCALES)
def test_cochran_and_cox_lie_between_students_tests_with_the_fewest_and_the_most_degrees(difference, parts, scale):
    t = difference / np.sqrt(sum(variance for variance, _ in parts))
    degrees = [df for _, df in parts]
    fewest, most = (2 * stats.t.sf(t, df) for df in (min(degrees), max(degrees)))
    assume(most > 1e-25)  # smaller ones are reported as 0
    p_value = cochran(difference, parts)
    assert most * (1 - 1e-6) <= p_value <= fewest * (1 + 1e-6)
    assert cochran(-difference, parts) == p_value
    assert cochran(difference, parts[::-1]) == pytest.approx(p_value)
    scaled = [(scale**2 * variance, df) for variance, df in parts]
    assert cochran(scale * difference, scaled) == pytest.approx(p_value)
    assert cochran(1.5 * difference, parts) <= p_value
    more = [(variance, df + 1) for variance, df in parts]
    assert cochran(difference, more) <= p_value * (1 + 1e-9)


@given(VARIANCES, st.floats(1e-6, 0.5), st.floats(1.1, 1.9))
def test_the_least_significant_difference_falls_as_the_level_rises(parts, level, factor):
    variances, degrees = [np.array(v) for v, _ in parts], [df for _, df in parts]
    least = [float(least_significant_difference(one, variances, degrees)) for one in (level, factor * level)]
    assert least[0] > least[1] > 0


CELLS = st.tuples(st.integers(2, 8), st.integers(3, 5)).flatmap(
    lambda shape: arrays(float, shape, elements=st.integers(-20, 20).map(float))
)


@settings(max_examples=10)  # scipy integrates Nemenyi's distribution
@given(CELLS, SEEDS)
def test_ranks_and_their_tests_do_not_depend_on_units_or_the_order_of_cells(scores, seed):
    cells, methods = scores.shape
    ranks = ranks_of(scores)
    assert ranks.sum(1).tolist() == [methods * (methods + 1) / 2] * cells
    assert ranks.tolist() == [stats.rankdata(-row).tolist() for row in scores]
    monotone = np.arange(1, cells + 1)[:, None] * np.exp(scores / 10)
    shuffled = np.random.default_rng(seed).permutation(scores)
    assert ranks_of(monotone).tolist() == ranks.tolist()
    for test in (friedman, nemenyi_p_values):
        expected = np.array(test(scores))
        assert np.array(test(monotone)) == pytest.approx(expected)
        assert np.array(test(shuffled)) == pytest.approx(expected)
    assert wilcoxon_p_values(scores + shuffled[:, :1]) == pytest.approx(wilcoxon_p_values(scores))


@settings(max_examples=20)
@given(CELLS)
def test_friedman_and_wilcoxon_are_scipys(scores):
    if (scores != scores[:, :1]).any():
        chi_squared, p_value = stats.friedmanchisquare(*scores.T)
        assert friedman(scores)[:2] == pytest.approx((chi_squared, p_value))
        assert friedman(scores).f_p_value == pytest.approx(
            stats.f.sf(friedman(scores).f_statistic, scores.shape[1] - 1, (scores.shape[0] - 1) * (scores.shape[1] - 1))
        )
    p_values = wilcoxon_p_values(scores)
    for i, j in combinations(range(scores.shape[1]), 2):
        different = (scores[:, i] != scores[:, j]).any()
        assert p_values[i, j] == (stats.wilcoxon(scores[:, i], scores[:, j]).pvalue if different else 1.0)


@settings(max_examples=20)
@given(CELLS)
def test_nemenyi_and_the_critical_difference_say_the_same(scores):
    cells, methods = scores.shape
    means = ranks_of(scores).mean(0)
    apart = np.abs(means[:, None] - means) > critical_difference(methods, cells)
    assert (apart == (nemenyi_p_values(scores) < LEVEL)).all()


@given(st.integers(2, 10), st.integers(1, 50), st.integers(1, 45))
def test_more_cells_find_more_and_more_methods_less(methods, cells, pairs):
    assert critical_difference(methods, cells + 1) < critical_difference(methods, cells)
    assert critical_difference(methods + 1, cells) > critical_difference(methods, cells)
    needed = cells_needed(pairs)
    assert smallest_p_value(needed, pairs) < LEVEL <= smallest_p_value(needed - 1, pairs)


RUNS = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: arrays(float, shape, elements=st.integers(-20, 20).map(float))
)


@given(RUNS, SCALES, st.integers(-5, 5), SEEDS)
def test_the_interquartile_mean_moves_with_the_scores_and_lies_among_them(scores, scale, shift, seed):
    mean = float(interquartile_mean(scores))
    assert float(interquartile_mean(scale * (scores + shift))) == pytest.approx(scale * (mean + shift))
    assert float(interquartile_mean(np.random.default_rng(seed).permuted(scores))) == pytest.approx(mean)
    low, high = np.sort(scores.ravel())[[scores.size // 4, -1 - scores.size // 4]]
    assert low - 1e-9 <= mean <= high + 1e-9


@given(RUNS)
def test_a_profile_falls_from_one_to_zero(scores):
    profile = performance_profile(scores, np.array([-21.0, *np.linspace(-20, 20, 9), 20.5]))
    assert profile[0] == 1 and profile[-1] == 0 and (np.diff(profile) <= 0).all()


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)).flatmap(
        lambda shape: st.tuples(
            *[arrays(float, (runs, shape[2]), elements=st.integers(-9, 9).map(float)) for runs in shape[:2]]
        )
    )
)
def test_the_probability_of_improvement_is_mann_and_whitneys_for_each_cell(pair):
    first, second = pair
    shares = [
        stats.mannwhitneyu(first[:, cell], second[:, cell]).statistic / (len(first) * len(second))
        for cell in range(first.shape[1])
    ]
    assert float(probability_of_improvement(first, second)) == pytest.approx(np.mean(shares))
    assert float(probability_of_improvement(np.exp(first), np.exp(second))) == pytest.approx(np.mean(shares))


@given(arrays(float, st.integers(1, 8), elements=st.floats(-6, 6)), st.sampled_from([0.25, 1.0, 3.0]), SCALES)
def test_the_posterior_has_no_unit_and_no_side_and_a_wider_rope_holds_more(differences, rope, scale):
    assume(len(set(np.abs(differences))) == len(differences))
    posterior = signed_rank_posterior(differences, rope, samples=200)
    mirrored = signed_rank_posterior(-differences, rope, samples=200)
    assert mirrored == pytest.approx(posterior[::-1])
    assert signed_rank_posterior(scale * differences, scale * rope, samples=200) == posterior
    assert signed_rank_posterior(differences, 2 * rope, samples=200).equivalent >= posterior.equivalent


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=40), SCALES, st.integers(-100, 100), SEEDS)
def test_intervals_move_with_the_values_and_shrink_with_their_number(values, scale, shift, seed):
    array = np.array(values)
    interval = confidence_interval(float(array.mean()), array)
    other = np.random.default_rng(seed).permutation(scale * (array + shift))
    moved = confidence_interval(float(other.mean()), other)
    expected = [scale * (end + shift) for end in (interval.low, interval.mean, interval.high)]
    assert [moved.low, moved.mean, moved.high] == pytest.approx(expected, abs=1e-9 * scale)
    assert float(half_width(np.tile(array, 4))) <= float(half_width(array))
    assert episodes_needed(array, 0.5) >= episodes_needed(array, 1.0) >= len(array)

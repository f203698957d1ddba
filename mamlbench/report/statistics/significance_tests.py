"""Significance tests on scores per episode: is the difference between two models or two algorithms more than chance?

Every function takes arrays with any leading dimensions, one problem each, and solves all of them at once. Scores are in
the metric's own unit and never NaN. The distributions are scipy's.

- Two trained models: Student's paired t-test over their shared episodes.
- Two algorithms, each trained with several seeds and tested on shared episodes: seeds and episodes are both random, so
  both variances count. Significance is tested after Cochran and Cox (``cochran_cox``), which is conservative. The
  confidence interval is meant to be neither too wide nor too narrow: the quasi-F of Clark (Journal of Verbal Learning
  and Verbal Behavior 12, 1973), with the seeds' part as in Welch's test and the degrees of freedom after Satterthwaite
  (Biometrics Bulletin 2, 1946). It may exclude zero although the difference is not reported as significant.
  A bootstrap over three seeds cannot estimate how much a fourth would differ: if seeds matter, its false-positive rate
  is more than twice the nominal one (test_significance_tests.py measures it). Three seeds against three
  have 20 permutations, so no permutation test of them can reach a p-value below 0.1.
- One algorithm before and after a change: the same test with one pooled variance for both sides, which is what "nothing
  has changed" implies. One side may then have a single seed.
- New classes: with the classes of the episodes given, the variance between episodes includes what new classes would
  add (``mamlbench.shared_classes``), and with seeds that of their deviations in single classes.
- Equivalence: two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mamlbench.report.statistics.cochran_cox import cochran_cox, least_significant_difference
from mamlbench.report.statistics.variance import (
    VarianceComponents,
    variance_between_episodes,
    variance_of_difference,
)
from mamlbench.shared_classes import SharedClasses
from mamlbench.student_t import LEVEL, Array, standard_deviation, t_quantile

POWER = 0.8
"""Probability of detecting a difference as large as the minimum detectable effect."""
MIN_SEEDS_PER_SIDE = 3
"""Training seeds of each algorithm below which a comparison is about trained models only, not about algorithms."""
MIN_SEEDS_IN_TOTAL = 6
"""The same limit for both sides together, if they are assumed to have equal variances."""


@dataclass(frozen=True)
class Comparison:
    """How much higher the first scores are than the second. Every array has the leading dimensions of the scores."""

    claim: Literal["checkpoints", "algorithms"]
    """What the result is about: these trained models, or the algorithms that trained them."""
    difference: Array
    """Mean of the first minus mean of the second."""
    standard_error: Array
    """Standard error of the difference."""
    degrees_of_freedom: Array
    """Degrees of freedom of the standard error."""
    p_value: Array
    """Two-sided p-value of the test that matches the confidence interval."""
    conservative_p_value: Array
    """Two-sided p-value with a false-positive rate of at most 5 %, whatever the variances of the two sides: after
    Cochran and Cox for algorithms without a pooled variance, otherwise equal to ``p_value``."""
    least_significant_difference: Array
    """The smallest difference whose conservative p-value is below 5 %."""
    effect_size: Array
    """The difference in standard deviations: of the paired differences between episodes for checkpoints (Cohen's d_z),
    of the seeds' means for algorithms (pooled, Cohen's d)."""

    def confidence_interval(self, confidence: float = 1 - LEVEL) -> tuple[Array, Array]:
        """Return the ends of the confidence interval of the difference."""
        half = self.standard_error * t_quantile((1 + confidence) / 2, self.degrees_of_freedom)
        return self.difference - half, self.difference + half

    @property
    def minimum_detectable_effect(self) -> Array:
        """The smallest true difference that is found significant (conservative p-value) with a power of 80 %."""
        effect: Array = self.least_significant_difference + self.standard_error * t_quantile(
            POWER, self.degrees_of_freedom
        )
        return effect

    def is_equivalent(self, margin: float) -> NDArray[np.bool_]:
        """Return whether the true difference is shown to lie within ``margin`` both ways (two one-sided tests)."""
        low, high = self.confidence_interval(1 - 2 * LEVEL)
        return (low > -margin) & (high < margin)

    def is_noninferior(self, margin: float) -> NDArray[np.bool_]:
        """Return whether the first is shown to be at most ``margin`` lower than the second (a one-sided test)."""
        low, _ = self.confidence_interval(1 - 2 * LEVEL)
        return low > -margin


def compare(
    first: ArrayLike, second: ArrayLike, *, equal_variance: bool = False, shared: SharedClasses | None = None
) -> Comparison:
    """Compare scores ``[..., seeds, episodes]`` on shared episodes; the numbers of seeds may differ.

    With three or more seeds on both sides the claim is about algorithms, otherwise about these checkpoints (their
    mean, if a side has several).

    Args:
        first: scores of one algorithm.
        second: scores of another on the same episodes.
        equal_variance: assume that the seeds of both sides have equal variances; six seeds in total then suffice for a
            claim about algorithms.
        shared: the classes that episodes share: the result is then about new classes, not about these.

    Raises ValueError if the numbers of episodes differ or there are fewer than two.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape[-1] != second.shape[-1] or first.shape[-1] < 2:
        raise ValueError(f"two or more shared episodes are needed, not {first.shape[-1]} and {second.shape[-1]}")
    seeds = first.shape[-2], second.shape[-2]
    enough = sum(seeds) >= MIN_SEEDS_IN_TOTAL if equal_variance else min(seeds) >= MIN_SEEDS_PER_SIDE
    with np.errstate(over="ignore", invalid="ignore"):  # the square of 1e308 is infinite, and its p-value NaN
        if enough:
            return _compare_algorithms(first, second, shared, equal_variance=equal_variance)
        return _compare_checkpoints(first.mean(-2), second.mean(-2), shared)


def _compare_checkpoints(first: Array, second: Array, shared: SharedClasses | None) -> Comparison:
    """Run Student's paired t-test over episodes ``[..., E]``."""
    differences = first - second
    variance, df = variance_between_episodes(differences, shared)
    deviation = standard_deviation(differences)
    df = np.broadcast_to(np.asarray(df, float), variance.shape)
    return _comparison("checkpoints", differences.mean(-1), np.sqrt(variance), df, deviation)


def _compare_algorithms(
    first: Array, second: Array, shared: SharedClasses | None, *, equal_variance: bool
) -> Comparison:
    """Compare scores ``[..., S, E]`` with seeds and shared episodes both as random effects."""
    sides = [VarianceComponents.from_scores(scores, shared) for scores in (first, second)]
    pooled = VarianceComponents.pooled(*sides)
    between_episodes, episode_df = variance_between_episodes(first.mean(-2) - second.mean(-2), shared)
    variance, df = variance_of_difference([pooled] if equal_variance else sides, between_episodes, episode_df)
    difference = first.mean((-1, -2)) - second.mean((-1, -2))
    comparison = _comparison("algorithms", difference, np.sqrt(variance), df, np.sqrt(pooled.between_seeds))
    if equal_variance:
        return comparison
    parts = [*(side.between_seeds * side.weight for side in sides), between_episodes]
    part_dfs = [*(side.degrees_of_freedom for side in sides), episode_df]
    return replace(
        comparison,
        conservative_p_value=cochran_cox(difference, parts, part_dfs),
        least_significant_difference=least_significant_difference(LEVEL, parts, part_dfs),
    )


def _comparison(
    claim: Literal["checkpoints", "algorithms"], difference: Array, error: Array, df: Array, deviation: Array
) -> Comparison:
    """Build the comparison. Without any variance, an equal pair has t = 0 and an unequal pair an infinite t."""
    from scipy import special

    without_variance = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    t = np.divide(difference, error, out=without_variance.copy(), where=error > 0)
    effect_size = np.divide(difference, deviation, out=without_variance.copy(), where=deviation > 0)
    p_value, least_significant = 2 * special.stdtr(df, -np.abs(t)), error * t_quantile(1 - LEVEL / 2, df)
    return Comparison(claim, difference, error, df, p_value, p_value, least_significant, effect_size)

"""Is a difference more than chance? Tests on scores per episode, over episodes and over training seeds.

Every function takes arrays with any leading dimensions, one problem each, and answers for all of them at once.
Scores are in the metric's own unit and never NaN. scipy's distributions, nothing of our own but their arguments:

- two trained models: Student's paired t-test over their shared episodes;
- two algorithms, trained with several seeds each and tested on shared episodes: seeds and episodes are both random,
  so both variances count. Whether they differ is tested after Cochran and Cox (``cochran_cox``), on the
  safe side. How much they differ is said by an interval that is to be neither too wide nor too narrow: the quasi-F of
  Clark (Journal of Verbal Learning and Verbal Behavior 12, 1973), the seeds' part as in Welch's test, the degrees of
  freedom after Satterthwaite (Biometrics Bulletin 2, 1946); it may leave out zero where nothing is claimed. A
  bootstrap of three seeds cannot know how much a fourth would differ: where seeds matter it calls equal algorithms
  different more than twice as often as it says (tests/report/test_statistics.py measures it); of three seeds against
  three there are 20 permutations, so that no permutation test of them can fall below p = 0.1;
- one algorithm before and after a change: the same with one spread of seeds for both sides, which is what "nothing
  has changed" says; a side may then have a single seed;
- many comparisons: Holm (Scandinavian Journal of Statistics 6, 1979);
- equivalence: two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mamlbench.report.statistics.cochran_cox import Array, cochran_cox, least_significant

LEVEL = 0.05
"""Probability of calling a difference real where there is none."""
POWER = 0.8
"""Probability with which the smallest detectable difference is found."""
SEEDS_FOR_A_CLAIM = 3
"""Training seeds of each algorithm below which nothing is said about algorithms, only about trained models."""

SEEDS_IN_ALL = 6
"""The same for both sides together, where both are taken to have the same spread."""
LEAST_SHARE = 0.5
"""Of the episodes' part of the variance, what is left at least when the noise counted twice has been taken out."""
SHARE_FOR_FREEDOM = 0.6
"""The same where the degrees of freedom are worked out. Both were chosen by simulation: with them the 95 % interval
covers the truth in 94.1 to 96.9 % of 100,000 trials in every setting of benchmarks/interval_coverage.py, from seeds
that do not differ at all to seeds that differ much more than episodes do. With shares of 1 (the truth is never below
the episodes' part) it is too wide for three seeds that hardly differ: up to 98.5 %.
Elsewhere it can be too narrow: with fewer seeds on the side that varies more it misses the truth in up to 7.6 % of
20,000 trials (benchmarks/interval_coverage.py --fresh has such settings). So no table's claim rests on it."""


@dataclass(frozen=True)
class Comparison:
    """How much greater the scores of one are than those of another. Every field has the leading dimensions."""

    claim: Literal["checkpoints", "algorithms"]
    """What is spoken of: these trained models, or the algorithms that made them."""
    difference: Array
    """Mean of the first minus mean of the second."""
    error: Array
    """Standard error of the difference."""
    freedom: Array
    """Degrees of freedom of the error."""
    p_value: Array
    """Two-sided: the probability of so large a difference where there is none, by the test that the interval is of."""
    safe_p_value: Array
    """The same for claims that must be wrong in at most 5 %, whatever the spread of either side: after Cochran and Cox
    for algorithms with spreads of their own, else the p-value."""
    needed: Array
    """The smallest difference whose safe p-value is below 5 %."""
    effect_size: Array
    """The difference in standard deviations: of the paired differences between episodes for checkpoints (Cohen's d_z),
    of the seeds' means for algorithms (pooled, Cohen's d)."""

    def interval(self, confidence: float = 1 - LEVEL) -> tuple[Array, Array]:
        """Ends of the difference's interval."""
        half = self.error * quantile((1 + confidence) / 2, self.freedom)
        return self.difference - half, self.difference + half

    @property
    def detectable(self) -> Array:
        """The smallest true difference that a claim (by the safe p-value) finds with a probability of 80 %."""
        found: Array = self.needed + self.error * quantile(POWER, self.freedom)
        return found

    def equivalent(self, margin: float) -> NDArray[np.bool_]:
        """Whether the true difference is shown to be smaller than ``margin``, either way (two one-sided tests)."""
        low, high = self.interval(1 - 2 * LEVEL)
        return (low > -margin) & (high < margin)

    def within_margin(self, margin: float) -> NDArray[np.bool_]:
        """Whether the first is shown to be no more than ``margin`` smaller than the second (a one-sided test)."""
        low, _ = self.interval(1 - 2 * LEVEL)
        return low > -margin


def compare(first: ArrayLike, second: ArrayLike, *, same_spread: bool = False) -> Comparison:
    """Compare scores ``[..., seeds, episodes]`` on shared episodes; the numbers of seeds may differ.

    With three seeds or more on both sides the claim is about algorithms, else about the checkpoints at hand (their
    mean, where a side has several).

    Args:
        first: scores of one algorithm.
        second: scores of another on the same episodes.
        same_spread: take the seeds of both to differ alike; then six seeds in all are enough for a claim.

    Raises ValueError where episodes differ in number or are fewer than two.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape[-1] != second.shape[-1] or first.shape[-1] < 2:
        raise ValueError(f"two or more shared episodes are needed, not {first.shape[-1]} and {second.shape[-1]}")
    seeds = first.shape[-2], second.shape[-2]
    enough = sum(seeds) >= SEEDS_IN_ALL if same_spread else min(seeds) >= SEEDS_FOR_A_CLAIM
    with np.errstate(over="ignore", invalid="ignore"):  # of 1e308 the square is infinite, and the p-value NaN
        if enough:
            return _compare_algorithms(first, second, same_spread=same_spread)
        return _compare_checkpoints(first.mean(-2), second.mean(-2))


def _compare_checkpoints(first: Array, second: Array) -> Comparison:
    """Student's paired t-test over episodes ``[..., E]``."""
    differences = first - second
    episodes = differences.shape[-1]
    deviation = _deviation(differences)
    error = deviation / np.sqrt(episodes)
    return _comparison("checkpoints", differences.mean(-1), error, np.full(error.shape, episodes - 1.0), deviation)


def _compare_algorithms(first: Array, second: Array, *, same_spread: bool) -> Comparison:
    """Seeds ``[..., S, E]`` and the episodes that they share, both taken as random."""
    sides = [Spread.of(first), Spread.of(second)]
    pooled = Spread.pooled(*sides)
    between_episodes = _deviation(first.mean(-2) - second.mean(-2)) ** 2 / first.shape[-1]
    variance, freedom = error_over_seeds([pooled] if same_spread else sides, between_episodes, first.shape[-1])
    difference = first.mean((-1, -2)) - second.mean((-1, -2))
    found = _comparison("algorithms", difference, np.sqrt(variance), freedom, np.sqrt(pooled.seeds))
    if same_spread:
        return found
    parts = [*(side.seeds * side.share for side in sides), between_episodes]
    freedoms = [*(side.freedom for side in sides), first.shape[-1] - 1]
    p_value, needed = cochran_cox(difference, parts, freedoms), least_significant(LEVEL, parts, freedoms)
    return replace(found, safe_p_value=p_value, needed=needed)


@dataclass(frozen=True)
class Spread:
    """What scores ``[..., S, E]`` say of their variances."""

    seeds: Array
    """Variance between the seeds' means over the episodes."""
    noise: Array
    """Variance that neither seeds nor episodes explain."""
    share: float
    """By how much the seeds' variance goes into that of the mean: 1 / S; of both sides together: 1 / S + 1 / S'."""
    freedom: int
    """Degrees of freedom of the seeds' variance."""

    @classmethod
    def of(cls, scores: Array) -> Spread:
        """Of one algorithm; both variances are zero where it has a single seed."""
        count, episodes = scores.shape[-2:]
        if count == 1:
            nothing = np.zeros(scores.shape[:-2])
            return cls(nothing, nothing, 1.0, 0)
        residuals = scores - scores.mean(-1, keepdims=True) - scores.mean(-2, keepdims=True)
        residuals += scores.mean((-1, -2), keepdims=True)
        noise = (residuals**2).sum((-1, -2)) / ((count - 1) * (episodes - 1))
        return cls(_deviation(scores.mean(-1)) ** 2, noise, 1 / count, count - 1)

    @classmethod
    def pooled(cls, one: Spread, other: Spread) -> Spread:
        """Of two that are taken to have the same variances."""
        freedom = one.freedom + other.freedom
        seeds = (one.freedom * one.seeds + other.freedom * other.seeds) / freedom
        noise = (one.freedom * one.noise + other.freedom * other.noise) / freedom
        return cls(seeds, noise, one.share + other.share, freedom)


def error_over_seeds(spreads: Sequence[Spread], between_episodes: Array, episodes: int) -> tuple[Array, Array]:
    """Variance of a difference of means over seeds and episodes, and its degrees of freedom.

    The noise of one seed in one episode is in the spread between seeds and in that between episodes: it is taken out
    once, but never more than half of the episodes' part.

    Args:
        spreads: of both sides, or one of both together.
        between_episodes: variance of the mean paired difference between episodes, ``[...]``.
        episodes: their number.
    """
    noises = [each.noise * each.share / episodes for each in spreads]
    seeds = [each.seeds * each.share for each in spreads]
    unbiased = sum(seeds) + between_episodes - sum(noises)
    uncertainty = between_episodes**2 / (episodes - 1)
    for each, part, noise in zip(spreads, seeds, noises, strict=True):
        uncertainty = uncertainty + part**2 / each.freedom + noise**2 / (each.freedom * (episodes - 1))
    variance = np.maximum(unbiased, LEAST_SHARE * between_episodes)
    known = (uncertainty > 0) & (variance > 0)  # rounding errors alone leave an uncertainty of 1e-33
    numerator = np.maximum(unbiased, SHARE_FOR_FREEDOM * between_episodes) ** 2
    least = np.full(variance.shape, float(min(each.freedom for each in spreads)))
    return variance, np.divide(numerator, uncertainty, out=least, where=known)


def _comparison(
    claim: Literal["checkpoints", "algorithms"], difference: Array, error: Array, freedom: Array, spread: Array
) -> Comparison:
    """Where nothing varies at all, t has nothing to divide by: an equal pair is equal, another one is different."""
    from scipy import special

    none = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    t = np.divide(difference, error, out=none.copy(), where=error > 0)
    size = np.divide(difference, spread, out=none.copy(), where=spread > 0)
    p_value, needed = 2 * special.stdtr(freedom, -np.abs(t)), error * quantile(1 - LEVEL / 2, freedom)
    return Comparison(claim, difference, error, freedom, p_value, p_value, needed, size)


def _deviation(values: Array) -> Array:
    """Standard deviation over the last dimension; rounding errors of equal values are no deviation."""
    found = np.std(values, axis=-1, ddof=1)
    equal: Array = np.where(np.ptp(values, axis=-1) <= 1e-12, 0.0, found)
    return equal


def half_width(values: Array) -> Array:
    """Half the width of the 95 % interval of the mean of independent values ``[..., n]``, by Student's t."""
    count = values.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):  # of 1e308 the square is infinite
        found: Array = quantile(1 - LEVEL / 2, count - 1) * _deviation(values) / np.sqrt(count)
    return found


def quantile(probability: float, freedom: ArrayLike) -> Array:
    """Student's t below which ``probability`` lies."""
    from scipy import special  # scipy.stats has the same, and takes a second to import

    found: Array = special.stdtrit(freedom, probability)
    return found


def holm(p_values: ArrayLike, family: int | None = None) -> Array:
    """Adjusted p-values along the last dimension: below LEVEL, they keep the chance of any false claim below it.

    Args:
        p_values: of the comparisons made, ``[..., comparisons]``.
        family: number of comparisons that might have been made, where these were chosen among them by their outcome.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values, axis=-1)
    remaining = (family or p_values.shape[-1]) - np.arange(p_values.shape[-1])
    stepped = np.maximum.accumulate(np.take_along_axis(p_values, order, -1) * remaining, axis=-1)
    adjusted = np.empty_like(stepped)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), -1)
    return adjusted


class Standing(NamedTuple):
    """How one of several rows stands against the best of them. Fields but the first are None for the best itself."""

    may_be_best: bool
    """Whether it is the best or not significantly worse, corrected after Holm."""
    effect_size: float | None = None
    """Its scores minus the best's, in standard deviations (``Comparison.effect_size``)."""
    detectable: float | None = None
    """The smallest difference from the best that would be shown in 80 % of repetitions, before the correction."""


def standings(scores: Sequence[Array], *, higher_is_better: bool) -> list[Standing]:
    """Compare rows of scores ``[seeds, episodes]`` with the best of them.

    The best is picked by its outcome, so that the correction counts every pair of rows, not only those with the best.
    """
    if len(scores) < 2:
        return [Standing(True) for _ in scores]
    sign = 1.0 if higher_is_better else -1.0
    best = int(np.argmax([sign * row.mean() for row in scores]))
    others = [place for place in range(len(scores)) if place != best]
    p_values, sizes, detectable = _against(scores[best], [scores[place] for place in others])
    adjusted = holm(p_values, family=len(scores) * (len(scores) - 1) // 2)
    may_be = [not p < LEVEL for p in adjusted]
    found = dict(zip(others, map(Standing, may_be, sizes.tolist(), detectable.tolist()), strict=True))
    return [found.get(place, Standing(True)) for place in range(len(scores))]


def not_worse_than_the_best(scores: Sequence[Array], *, higher_is_better: bool) -> list[bool]:
    """Which of several rows of scores ``[seeds, episodes]`` may be the best: it, and all not significantly worse."""
    return [each.may_be_best for each in standings(scores, higher_is_better=higher_is_better)]


def _against(best: Array, others: Sequence[Array]) -> Array:
    """p-values, effect sizes and detectable differences ``[3, others]`` from the best; those of equal shape at once."""
    found = np.empty((3, len(others)))
    for shape in {each.shape for each in others}:
        places = [place for place, each in enumerate(others) if each.shape == shape]
        compared = compare(np.stack([others[place] for place in places]), best[None])
        found[:, places] = compared.safe_p_value, compared.effect_size, compared.detectable
    return found

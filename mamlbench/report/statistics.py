"""Is a difference more than chance? Tests on scores per episode, over episodes and over training seeds.

Every function takes arrays with any leading dimensions, one problem each, and answers for all of them at once.
Scores are in the metric's own unit and never NaN. scipy's distributions, nothing of our own but their arguments:

- two trained models: Student's paired t-test over their shared episodes;
- two algorithms, trained with several seeds each and tested on shared episodes: seeds and episodes are both random,
  so both variances count: the quasi-F of Clark (Journal of Verbal Learning and Verbal Behavior 12, 1973), the seeds'
  part as in Welch's test, the degrees of freedom after Satterthwaite (Biometrics Bulletin 2, 1946). A bootstrap of
  three seeds cannot know how much a fourth would differ: where seeds matter it calls equal algorithms different more
  than twice as often as it says (tests/report/test_statistics.py measures it);
- many comparisons: Holm (Scandinavian Journal of Statistics 6, 1979);
- equivalence: two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.05
"""Probability of calling a difference real where there is none."""
POWER = 0.8
"""Probability with which the smallest detectable difference is found."""
SEEDS_FOR_A_CLAIM = 3
"""Training seeds of each algorithm below which nothing is said about algorithms, only about trained models."""

Array = NDArray[np.float64]


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
    """Two-sided: the probability of so large a difference where there is none."""
    effect_size: Array
    """The difference in standard deviations: of the paired differences between episodes for checkpoints (Cohen's d_z),
    of the seeds' means for algorithms (pooled, Cohen's d)."""

    def interval(self, confidence: float = 1 - LEVEL) -> tuple[Array, Array]:
        """Ends of the difference's interval."""
        from scipy import stats

        half = self.error * stats.t.ppf((1 + confidence) / 2, self.freedom)
        return self.difference - half, self.difference + half

    @property
    def detectable(self) -> Array:
        """The smallest true difference that a test like this one finds with a probability of 80 %."""
        from scipy import stats

        found: Array = self.error * (stats.t.ppf(1 - LEVEL / 2, self.freedom) + stats.t.ppf(POWER, self.freedom))
        return found

    def equivalent(self, margin: float) -> NDArray[np.bool_]:
        """Whether the true difference is shown to be smaller than ``margin``, either way (two one-sided tests)."""
        low, high = self.interval(1 - 2 * LEVEL)
        return (low > -margin) & (high < margin)

    def within_margin(self, margin: float) -> NDArray[np.bool_]:
        """Whether the first is shown to be no more than ``margin`` smaller than the second (a one-sided test)."""
        low, _ = self.interval(1 - 2 * LEVEL)
        return low > -margin


def compare(first: ArrayLike, second: ArrayLike) -> Comparison:
    """Compare scores ``[..., seeds, episodes]`` on shared episodes; the numbers of seeds may differ.

    With three seeds or more on both sides the claim is about algorithms, else about the checkpoints at hand (their
    mean, where a side has several). Raises ValueError where episodes differ in number or are fewer than two.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape[-1] != second.shape[-1] or first.shape[-1] < 2:
        raise ValueError(f"two or more shared episodes are needed, not {first.shape[-1]} and {second.shape[-1]}")
    if min(first.shape[-2], second.shape[-2]) >= SEEDS_FOR_A_CLAIM:
        return _compare_algorithms(first, second)
    return _compare_checkpoints(first.mean(-2), second.mean(-2))


def _compare_checkpoints(first: Array, second: Array) -> Comparison:
    """Student's paired t-test over episodes ``[..., E]``."""
    differences = first - second
    episodes = differences.shape[-1]
    deviation = _deviation(differences)
    error = deviation / np.sqrt(episodes)
    return _comparison("checkpoints", differences.mean(-1), error, np.full(error.shape, episodes - 1.0), deviation)


def _compare_algorithms(first: Array, second: Array) -> Comparison:
    """Seeds ``[..., S, E]`` and the episodes that they share, both taken as random.

    The noise of one seed in one episode is in the spread between seeds and in that between episodes: it is taken out
    once, but never so that less is left than either spread says by itself.
    """
    one, other = _Seeds(first), _Seeds(second)
    episodes = first.shape[-1]
    between_seeds = one.spread / one.count + other.spread / other.count
    between_episodes = _deviation(first.mean(-2) - second.mean(-2)) ** 2 / episodes
    noise = (one.noise / one.count + other.noise / other.count) / episodes
    variance = np.maximum(between_seeds + between_episodes - noise, np.maximum(between_seeds, between_episodes))
    uncertainty = between_episodes**2 / (episodes - 1) + one.uncertainty + other.uncertainty
    least = float(min(one.count, other.count) - 1)
    known = (uncertainty > 0) & (variance > 0)  # rounding errors alone leave an uncertainty of 1e-33
    freedom = np.divide(variance**2, uncertainty, out=np.full(variance.shape, least), where=known)
    pooled = ((one.count - 1) * one.spread + (other.count - 1) * other.spread) / (one.count + other.count - 2)
    return _comparison(
        "algorithms", first.mean((-1, -2)) - second.mean((-1, -2)), np.sqrt(variance), freedom, np.sqrt(pooled)
    )


class _Seeds:
    """What the scores ``[..., S, E]`` of one algorithm say of their variances."""

    def __init__(self, scores: Array) -> None:
        self.count, episodes = scores.shape[-2:]
        self.spread = _deviation(scores.mean(-1)) ** 2
        residuals = scores - scores.mean(-1, keepdims=True) - scores.mean(-2, keepdims=True)
        residuals += scores.mean((-1, -2), keepdims=True)
        self.noise = (residuals**2).sum((-1, -2)) / ((self.count - 1) * (episodes - 1))
        self.uncertainty = (self.spread / self.count) ** 2 / (self.count - 1)
        self.uncertainty += (self.noise / self.count / episodes) ** 2 / ((self.count - 1) * (episodes - 1))


def _comparison(
    claim: Literal["checkpoints", "algorithms"], difference: Array, error: Array, freedom: Array, spread: Array
) -> Comparison:
    """Where nothing varies at all, t has nothing to divide by: an equal pair is equal, another one is different."""
    from scipy import stats

    none = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    t = np.divide(difference, error, out=none.copy(), where=error > 0)
    size = np.divide(difference, spread, out=none.copy(), where=spread > 0)
    return Comparison(claim, difference, error, freedom, 2 * stats.t.sf(np.abs(t), freedom), size)


def _deviation(values: Array) -> Array:
    """Standard deviation over the last dimension; rounding errors of equal values are no deviation."""
    found = np.std(values, axis=-1, ddof=1)
    equal: Array = np.where(np.ptp(values, axis=-1) <= 1e-12, 0.0, found)
    return equal


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


def not_worse_than_the_best(scores: list[Array], *, higher_is_better: bool) -> list[bool]:
    """Which of several rows of scores ``[seeds, episodes]`` may be the best: it, and all not significantly worse.

    The best is picked by its outcome, so that the correction counts every pair of rows, not only those with the best.
    """
    sign = 1.0 if higher_is_better else -1.0
    means = [sign * row.mean() for row in scores]
    best = int(np.argmax(means))
    others = [place for place in range(len(scores)) if place != best]
    p_values = [float(compare(scores[best], scores[place]).p_value) for place in others]
    adjusted: Array | list[float] = holm(p_values, family=len(scores) * (len(scores) - 1) // 2) if others else []
    may_be = dict(zip(others, (bool(p >= LEVEL) for p in adjusted), strict=True)) | {best: True}
    return [may_be[place] for place in range(len(scores))]

"""Variance of a mean over test episodes that share classes: what new classes would add to it.

An interval over episodes holds for the classes that they were drawn from: with new classes the mean would move, and
by how much is not seen if episodes are taken to be independent. Two episodes that share k classes are alike because of
them. The products of their deviations from the mean are therefore regressed on k, over all pairs of episodes: the slope
estimates the variance between classes (of a class's effect on the score of an episode, whether as the right answer or
as a wrong one), and a mean over episodes has this variance times the mean overlap of two episodes on top of its
variance over episodes. Each image belongs to one class, so new images are a part of new classes.

These are the pairwise products of multiway clustering (Cameron, Gelbach & Miller, Journal of Business & Economic
Statistics 29, 2011), with every class that an episode contains as a cluster; but their sum over the pairs that share a
class is biased towards 0 if few pairs share none, as with 20 classes (the deviations of all pairs add up to 0), and the
slope is not. The degrees of freedom are Satterthwaite's (Biometrics Bulletin 2, 1946).

If episodes have several numbers of classes, a class counts in each of them by the inverse of that number, as in a mean
over the episode's classes. Scores also differ because of the numbers themselves, which adds to the noise alone: the
expected overlap of two episodes does not depend on them.

Few classes show little of how much classes differ, and where the estimate happens to be near 0 an interval misses
far more often than it gains where the estimate is too large. So a part of its standard error is added to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamlbench.record import Interval
from mamlbench.student_t import LEVEL, Array, standard_deviation, t_quantile

MIN_CLASS_SHARE_FOR_DF = 0.5
"""Lower limit of the variance where the degrees of freedom are computed, as a share of the variance between the mean
scores of classes. Chosen by simulation: without it, classes that hardly differ leave less than one degree of freedom;
with it, 95 % intervals cover the truth in 94.2 % of 40,000 trials or more, from classes that do not differ at all to
classes that explain nearly everything (20, 96 and 423 classes in 5-way episodes)."""

CAUTION = 0.25
"""Standard errors of the estimated variance between classes that are added to it. Chosen on splits of real classes
(``benchmarks/new_class_intervals.py``, seed 0), and checked on other networks and splits (seed 1)."""


class MeanVariance(NamedTuple):
    """Variance of the means of values ``[..., episodes]``; every array has the leading dimensions."""

    over_episodes: Array
    """Over episodes of the same classes."""
    between_classes: Array
    """What new classes add: unbiased, so that it may be negative."""
    error_between_classes: Array
    """Standard error of ``between_classes``."""
    degrees_of_freedom: Array
    """Of ``total``."""

    @property
    def total(self) -> Array:
        """Variance with new classes: at least that over episodes, rather too large than too small."""
        return _total(self.over_episodes, self.between_classes, self.error_between_classes)


@dataclass(frozen=True)
class SharedClasses:
    """Which episodes share which classes; made by ``shared_classes``."""

    classes: NDArray[np.int64]
    """Classes of each episode ``[E, ways]``, numbered from 0 without gaps; -1 where an episode has fewer."""
    episodes: NDArray[np.int64]
    """Episodes class after class ``[E * ways]``, without those that an episode does not have."""
    weights: NDArray[np.float64]
    """How much a class counts in each episode ``[E]``: 1 if all have equally many."""
    starts: NDArray[np.int64]
    """Where each class begins in ``episodes``, ``[classes]``."""
    self_overlap: NDArray[np.float64]
    """Overlap of each episode with itself ``[E]``: the number of ways, unless a class has several labels."""
    mean_overlap: float
    """Mean number of classes that two episodes share."""
    overlap_variance: float
    """Variance of that number over all pairs of two episodes."""

    @property
    def class_count(self) -> int:
        """Number of classes in any episode."""
        return len(self.starts)

    @property
    def self_weight(self) -> float:
        """Factor of the variance between classes in that of an episode: the ways, if all are equal."""
        present = (self.classes >= 0).sum(1)
        return float((present * self.weights**2).mean())

    def variance_of_mean(self, values: Array) -> MeanVariance:
        """Estimate the variance of the means of ``[..., E]``, with that between classes."""
        count = len(self.classes)
        variance = standard_deviation(values) ** 2
        over_episodes = variance / count
        slope = np.where(variance > 0, self._class_variance(values - values.mean(-1, keepdims=True)), 0.0)
        noise = np.maximum(variance - self.self_weight * slope, 0.0)
        pairs = count * (count - 1)
        # variance of a class's mean if classes had no effect, from the variance of the slope under noise alone
        of_class_mean = noise * np.sqrt((self.class_count - 1) / (pairs * self.overlap_variance))
        raw = self.mean_overlap * (np.maximum(slope, 0.0) + of_class_mean)
        uncertainty = raw**2 / (self.class_count - 1) + over_episodes**2 / (count - 1)
        between = self.mean_overlap * slope
        error = raw * np.sqrt(2 / (self.class_count - 1))  # as of a chi-square of so many classes
        total = _total(over_episodes, between, error)
        numerator = np.maximum(total, MIN_CLASS_SHARE_FOR_DF * raw) ** 2
        without_variance = np.full(total.shape, self.class_count - 1.0)
        df = np.divide(numerator, uncertainty, out=without_variance, where=uncertainty > 0)
        return MeanVariance(over_episodes, between, error, np.maximum(df, 1.0))

    def _class_variance(self, deviations: Array) -> Array:
        """Return the slope of the products of two episodes' deviations ``[..., E]`` on the classes that they share."""
        count = len(self.classes)
        squares = (deviations**2).sum(-1)
        weighted = (self.weights * deviations)[..., self.episodes]
        of_class = np.add.reduceat(weighted, self.starts, axis=-1)  # [..., classes]
        pairs = count * (count - 1)
        mean_product = (deviations.sum(-1) ** 2 - squares) / pairs
        mean_weighted = ((of_class**2).sum(-1) - (self.self_overlap * deviations**2).sum(-1)) / pairs
        slope: Array = (mean_weighted - self.mean_overlap * mean_product) / self.overlap_variance
        return slope


def shared_classes(classes: NDArray[np.int64]) -> SharedClasses | None:
    """Prepare the classes of episodes ``[E, ways]``, -1 where one has fewer; None if all pairs share equally many.

    Then, as with 20 ways of 20 classes, nothing can be learned about other classes.
    """
    count, ways = classes.shape
    present = classes >= 0
    dense = np.full(classes.shape, -1, np.int64)
    dense[present] = np.unique(classes[present], return_inverse=True)[1].reshape(-1)
    weights = present.sum(1).mean() / present.sum(1)
    order = np.argsort(dense, axis=None, kind="stable")[(~present).sum() :]  # what is not there comes first
    sizes = np.bincount(dense[present])
    pairs = count * (count - 1)
    if pairs == 0:
        return None
    same = (dense[:, :, None] == dense[:, None, :]) & present[:, :, None]
    self_overlap = same.sum((1, 2)) * weights**2
    starts = np.cumsum(sizes) - sizes
    of_class = np.add.reduceat(weights[order // ways], starts)
    mean = float((of_class**2).sum() - self_overlap.sum()) / pairs
    square = (_sum_of_squared_overlaps(dense, weights, len(sizes)) - float((self_overlap**2).sum())) / pairs
    variance = square - mean**2
    if variance <= 1e-9:
        return None
    return SharedClasses(dense, order // ways, weights, starts, self_overlap, mean, variance)


def interval_for_new_classes(mean: float, values: Array, shared: SharedClasses) -> Interval:
    """Return the 95 % confidence interval of the mean of values of episodes ``[E]``, for new classes.

    Args:
        mean: of the values, as the caller reports it.
        values: two or more, finite.
        shared: the classes that the episodes share.
    """
    variance = shared.variance_of_mean(values)
    half = float(t_quantile(1 - LEVEL / 2, variance.degrees_of_freedom) * np.sqrt(variance.total))
    return Interval(mean=mean, low=mean - half, high=mean + half)


def _total(over_episodes: Array, between_classes: Array, error: Array) -> Array:
    total: Array = over_episodes + np.maximum(between_classes + CAUTION * error, 0.0)
    return total


def _sum_of_squared_overlaps(classes: NDArray[np.int64], weights: NDArray[np.float64], class_count: int) -> float:
    """Sum the squared overlaps over all pairs of episodes, each with itself too: as many as pairs of classes meet."""
    together = np.zeros(class_count**2)
    meet = np.repeat(weights**2, classes.shape[1])
    for column in classes.T:
        pairs = column[:, None] * class_count + classes
        there = ((column >= 0)[:, None] & (classes >= 0)).ravel()
        together += np.bincount(pairs.ravel()[there], weights=meet[there], minlength=class_count**2)
    return float((together**2).sum())

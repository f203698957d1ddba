"""Variance of scores over training seeds and episodes (or new classes), and the standard error of a difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mamlbench.shared_classes import MeanVariance, SharedClasses
from mamlbench.student_t import Array, standard_deviation

MIN_EPISODE_SHARE = 0.5
"""Lower limit of the variance of a difference, as a share of its between-episodes part."""
MIN_EPISODE_SHARE_FOR_DF = 0.6
"""The same limit where the degrees of freedom are computed.

Both were chosen by simulation: with them the 95 % confidence interval covers the true difference in 94.1 to 96.9 % of
100,000 trials in every setting of benchmarks/interval_coverage.py, from seeds that do not differ at all to seeds that
differ much more than episodes do. With shares of 1 (the true variance is never below the between-episodes part) the
interval is too wide for three seeds that hardly differ: coverage up to 98.5 %.

In other settings it can be too narrow: with fewer seeds on the side that varies more, it misses the true difference in
up to 7.6 % of 20,000 trials (benchmarks/interval_coverage.py --fresh draws such settings). Therefore no mark in a table
depends on it."""


@dataclass(frozen=True)
class VarianceComponents:
    """Variance components of scores ``[..., S, E]`` (seeds, episodes): of one algorithm, or pooled over two."""

    between_seeds: Array
    """Variance between the seeds' means over the episodes."""
    residual: Array
    """Part of it that is explained neither by seeds nor by episodes: the seeds' own deviations in single episodes, and
    for new classes in single classes, which the mean over episodes has as well."""
    weight: float
    """Factor of the between-seeds variance in the variance of the mean: 1 / S; 1 / S + 1 / S' if pooled over two."""
    degrees_of_freedom: int
    """Degrees of freedom of the between-seeds variance."""

    @classmethod
    def from_scores(cls, scores: Array, shared: SharedClasses | None = None) -> VarianceComponents:
        """Estimate the components from one algorithm's scores ``[..., S, E]``; both are 0 for a single seed.

        Args:
            scores: of each seed in each episode.
            shared: the classes that episodes share, if the mean is to hold for new classes.
        """
        seeds, episodes = scores.shape[-2:]
        if seeds == 1:
            zero = np.zeros(scores.shape[:-2])
            return cls(zero, zero, 1.0, 0)
        residuals = scores - scores.mean(-1, keepdims=True) - scores.mean(-2, keepdims=True)
        residuals += scores.mean((-1, -2), keepdims=True)
        residual = (residuals**2).sum((-1, -2)) / ((seeds - 1) * (episodes - 1) * episodes)
        if shared is not None:
            residual = residual + shared.variance_of_mean(residuals).between_classes.sum(-1) / (seeds - 1)
        return cls(standard_deviation(scores.mean(-1)) ** 2, residual, 1 / seeds, seeds - 1)

    @classmethod
    def pooled(cls, first: VarianceComponents, second: VarianceComponents) -> VarianceComponents:
        """Pool the components of two algorithms that are assumed to have equal variances."""
        df = first.degrees_of_freedom + second.degrees_of_freedom
        between_seeds = (
            first.degrees_of_freedom * first.between_seeds + second.degrees_of_freedom * second.between_seeds
        ) / df
        residual = (first.degrees_of_freedom * first.residual + second.degrees_of_freedom * second.residual) / df
        return cls(between_seeds, residual, first.weight + second.weight, df)


def variance_between_episodes(values: Array, shared: SharedClasses | None = None) -> tuple[Array, ArrayLike]:
    """Compute the variance of means of ``[..., E]`` and its degrees of freedom, for new classes if ``shared`` is given.

    It is over episodes of the same classes otherwise.
    """
    episodes = values.shape[-1]
    if shared is None:
        return standard_deviation(values) ** 2 / episodes, episodes - 1
    variance: MeanVariance = shared.variance_of_mean(values)
    return variance.total, variance.degrees_of_freedom


def variance_of_difference(
    components: Sequence[VarianceComponents], between_episodes: Array, episode_df: ArrayLike
) -> tuple[Array, Array]:
    """Compute the variance of a difference of means over seeds and episodes, and its degrees of freedom.

    The residual variance is part of both the between-seeds and the between-episodes variance. It is subtracted once,
    but the result never falls below half of the between-episodes part.

    Args:
        components: variance components of both sides, or one pooled over both.
        between_episodes: variance of the mean paired difference between episodes, ``[...]``.
        episode_df: its degrees of freedom, a number or ``[...]``.
    """
    seed_parts = [side.between_seeds * side.weight for side in components]
    residual_parts = [side.residual * side.weight for side in components]
    unbiased = sum(seed_parts) + between_episodes - sum(residual_parts)
    # Satterthwaite: each part's squared variance over its degrees of freedom.
    uncertainty = between_episodes**2 / np.asarray(episode_df)
    for side, seed_part, residual_part in zip(components, seed_parts, residual_parts, strict=True):
        df = side.degrees_of_freedom
        uncertainty = uncertainty + seed_part**2 / df + residual_part**2 / (df * np.asarray(episode_df))
    variance = np.maximum(unbiased, MIN_EPISODE_SHARE * between_episodes)
    is_uncertain = (uncertainty > 0) & (variance > 0)  # rounding errors alone leave an uncertainty of 1e-33
    numerator = np.maximum(unbiased, MIN_EPISODE_SHARE_FOR_DF * between_episodes) ** 2
    smallest = np.full(variance.shape, float(min(side.degrees_of_freedom for side in components)))
    df = np.divide(numerator, uncertainty, out=smallest.copy(), where=is_uncertain)
    # a variance that happens to come out small would leave a fraction of one degree of freedom, and an interval of ±70
    return variance, np.maximum(df, smallest)

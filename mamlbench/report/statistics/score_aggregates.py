"""One number, or one curve, for runs on many cells, with stratified bootstrap intervals.

Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (NeurIPS 2021, arXiv 2108.13264).
A cell is what the paper calls a task: one data set under one protocol in one mode. Scores ``[..., R, M]`` are of R runs
(training seeds) on each of M cells. Numbers equal those of the authors' package rliable 1.2.0, with the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mamlbench.student_t import LEVEL, Array, t_quantile

_BLOCK = 500
"""Bootstrap samples in memory at a time."""


def interquartile_mean(scores: Array) -> Array:
    """Compute the mean of the middle half of all scores ``[..., R, M]``, runs and cells together: ``[...]``.

    It depends less on outliers than the mean, and on more of the scores than the median.
    """
    from scipy import stats

    pooled = scores.reshape(*scores.shape[:-2], -1)  # [..., R*M]
    trimmed: Array = stats.trim_mean(pooled, proportiontocut=0.25, axis=-1)
    return trimmed


def performance_profile(scores: Array, thresholds: Array) -> Array:
    """Compute the share of scores ``[..., R, M]`` above each of T ``thresholds``: ``[..., T]``.

    The paper's run-score distribution: F(tau) = mean over cells m and runs n of 1[x_mn > tau].
    """
    ordered = np.sort(scores.reshape(-1, scores.shape[-2] * scores.shape[-1]), axis=-1)
    above = [ordered.shape[-1] - np.searchsorted(row, thresholds, side="right") for row in ordered]
    share: Array = np.reshape(above, (*scores.shape[:-2], len(thresholds))) / ordered.shape[-1]
    return share


def probability_of_improvement(first: Array, second: Array) -> Array:
    """Compute how probable it is that a run of X has a higher score than one of Y, on a random cell: ``[...]``.

    P(X > Y) = mean over cells of U / (R R'), where U is Mann and Whitney's statistic, in which a tie counts one half.

    Args:
        first: scores of X, ``[..., R, M]``.
        second: scores of Y on the same cells, ``[..., R', M]``.
    """
    x, y = first[..., :, None, :], second[..., None, :, :]  # [..., R, R', M]
    probability: Array = ((x > y) + 0.5 * (x == y)).mean((-1, -2, -3))
    return probability


def bootstrap_interval(
    statistic: Callable[..., Array],
    *scores: Array,
    resamples: int,
    new_cells: bool = False,
    seed: int = 0,
) -> Array:
    """Compute the 95 % interval of a statistic by the stratified bootstrap (percentiles): ``[2, ...]``, low and high.

    The arguments are those of ``bootstrap_values``.
    """
    values = bootstrap_values(statistic, *scores, resamples=resamples, new_cells=new_cells, seed=seed)
    return percentile_interval(values)


def percentile_interval(values: Array, tail: float = LEVEL / 2) -> Array:
    """Return the percentiles of ``[resamples, ...]`` that leave ``tail`` of them out on either side: ``[2, ...]``."""
    interval: Array = np.percentile(values, [100 * tail, 100 * (1 - tail)], axis=0)
    return interval


def expanded_tail(drawn: int, degrees_of_freedom: float) -> float:
    """Return the tail of a 95 % interval for few draws, which is smaller than 2.5 %.

    A bootstrap of n values has (n - 1) / n of their variance, and normal tails. Hesterberg's expanded percentile
    interval ("What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015) corrects both.

    Args:
        drawn: number of values that are drawn from, n.
        degrees_of_freedom: of their variance, n - 1; more if several independent samples are pooled.
    """
    from scipy import special

    quantile = float(t_quantile(LEVEL / 2, degrees_of_freedom))
    return float(special.ndtr(np.sqrt(drawn / (drawn - 1)) * quantile))


def bootstrap_values(
    statistic: Callable[..., Array],
    *scores: Array,
    resamples: int,
    new_cells: bool = False,
    seed: int = 0,
) -> Array:
    """Compute a statistic of stratified bootstrap samples: ``[resamples, ...]``.

    Runs are drawn with replacement within each cell, so that every sample holds every cell: the interval is for new
    runs on the same cells.

    Args:
        statistic: function of arrays ``[resamples, R, M]``, which returns ``[resamples, ...]``.
        scores: one array ``[R, M]`` per method, resampled independently of each other.
        resamples: number of bootstrap samples.
        new_cells: whether cells are drawn with replacement too. The interval is then for new cells like these.
        seed: of the draws. NumPy promises that ``RandomState`` draws the same numbers in every release.
    """
    random = np.random.RandomState(seed)
    return np.concatenate([statistic(*block) for block in _resampled(scores, resamples, random, new_cells=new_cells)])


def _resampled(
    scores: tuple[Array, ...], resamples: int, random: np.random.RandomState, *, new_cells: bool
) -> Iterator[list[Array]]:
    """Yield blocks of bootstrap samples, an array ``[block, R, M]`` per method."""
    for start in range(0, resamples, _BLOCK):
        block = min(_BLOCK, resamples - start)
        if not new_cells and len({side.shape for side in scores}) == 1:
            yield _resample_together(scores, block, random)
            continue
        samples = [[_resample(side, random, new_cells=new_cells) for side in scores] for _ in range(block)]
        yield [np.stack(side) for side in zip(*samples, strict=True)]


def _resample_together(scores: tuple[Array, ...], block: int, random: np.random.RandomState) -> list[Array]:
    """Draw a block at once, the same numbers in the same order, in a twentieth of the time."""
    runs, cells = scores[0].shape
    drawn_runs = random.choice(runs, (block, len(scores), runs, cells))
    return [side[drawn_runs[:, index], np.arange(cells)] for index, side in enumerate(scores)]


def _resample(scores: Array, random: np.random.RandomState, *, new_cells: bool) -> Array:
    runs, cells = scores.shape
    drawn_runs = random.choice(runs, (runs, cells))
    drawn_cells = random.choice(cells, (1, cells)) if new_cells else np.arange(cells)
    resampled: Array = scores[drawn_runs, drawn_cells]
    return resampled

"""The expected best of n trials of a random search, for every n up to the number of trials.

Reporting the best of N trials alone hides that a method with more trials finds more: Dodge, Gururangan, Card, Schwartz
and Smith, "Show Your Work: Improved Reporting of Experimental Results" (EMNLP 2019). Their estimate draws n trials with
replacement and is too low; this one draws them without, which is unbiased: Tang, Lee, Xin, Liu, Yu and Lin, "Showing
Your Work Doesn't Always Work" (ACL 2020), equation 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np

from mamlbench.student_t import Array


class ExpectedBest(NamedTuple):
    """The best score of n trials, for n = 1, 2, ..., N."""

    mean: Array  # [N] expectation over the n - 1 trials that are drawn
    deviation: Array  # [N] standard deviation over them


def expected_best(first: float, drawn: Sequence[float], *, higher_is_better: bool = True) -> ExpectedBest:
    """Estimate the best of n trials: the first, which every search has, and n - 1 of those drawn at random.

    Args:
        first: score of the trial that is no draw: the default options.
        drawn: scores of the N - 1 others, independent of each other, in any order.
        higher_is_better: direction of the scores.

    Raises ValueError if a score is not finite.
    """
    sign = 1.0 if higher_is_better else -1.0
    ordered = np.sort(sign * np.asarray(drawn, float))
    if not np.isfinite([first, *ordered]).all():
        raise ValueError("every score must be finite")
    best = np.maximum(ordered, sign * first)  # if the i-th smallest is the largest that was drawn
    means, deviations = [float(first)], [0.0]
    for number in range(1, len(ordered) + 1):
        weights = np.array([comb(rank, number - 1) / comb(len(ordered), number) for rank in range(len(ordered))])
        mean = float(weights @ best)
        means.append(sign * mean)
        deviations.append(float(np.sqrt(weights @ (best - mean) ** 2)))
    return ExpectedBest(np.array(means), np.array(deviations))

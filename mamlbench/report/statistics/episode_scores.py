"""Scores of single test episodes, as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mamlbench.record import EpisodeClasses, MetricResult, ModeResult
from mamlbench.report.table.groups import RowRuns
from mamlbench.shared_classes import SharedClasses, shared_classes
from mamlbench.student_t import Array


def episode_scores(row: RowRuns, metric: str, mode: str, quantity: str = "score") -> Array | None:
    """Return a row's 'score', 'untrained' or 'gain' ``[seeds, episodes]``; None if a seed lacks it or has a NaN.

    If intervals decided how many episodes each seed was tested on, these are the episodes that all seeds share.
    """
    seeds = [
        _episode_values(result, result.modes[mode], quantity)
        for result in row.metric_results(metric)
        if mode in result.modes
    ]
    if any(test.protocol.test_until is not None for test in row.tests):
        shared = min((len(values) for values in seeds), default=0)
        seeds = [values[:shared] for values in seeds]
    if not seeds or len({len(values) for values in seeds}) != 1 or len(seeds[0]) < 2:
        return None
    scores = np.stack(seeds)
    return scores if np.isfinite(scores).all() else None


def _episode_values(metric: MetricResult, result: ModeResult, quantity: str) -> Array:
    score = np.asarray(result.episode_scores, float)
    untrained = np.asarray(result.untrained_episode_scores, float)
    if quantity == "score":
        return score
    if quantity == "untrained":
        return untrained
    sign = 1.0 if metric.higher_is_better else -1.0
    return sign * (score - untrained) if len(score) == len(untrained) else np.empty(0)


def classes_of(rows: Sequence[RowRuns], episodes: int) -> SharedClasses | None:
    """Return which of the first episodes share which classes; None unless all records say so, and the same."""
    recorded = {test.classes for row in rows for test in row.tests}
    if not recorded or None in recorded:
        return None
    unpacked = [classes.unpack()[:episodes] for classes in recorded if classes is not None]
    same = all(np.array_equal(unpacked[0], classes) for classes in unpacked) and len(unpacked[0]) == episodes
    return _shared(recorded.pop(), episodes) if same else None


@lru_cache(maxsize=16)  # records of one group share their episodes
def _shared(classes: EpisodeClasses, episodes: int) -> SharedClasses | None:
    return shared_classes(classes.unpack()[:episodes])


def shared_scores(rows: Sequence[RowRuns], metric: str, mode: str) -> dict[int, Array]:
    """Return scores ``[seeds, episodes]`` by row index, of the rows that have the most common number of episodes."""
    scored = ((index, episode_scores(row, metric, mode)) for index, row in enumerate(rows))
    by_row = {index: scores for index, scores in scored if scores is not None}
    if not by_row:
        return {}
    if any(test.protocol.test_until is not None for row in rows for test in row.tests):
        episodes = min(scores.shape[-1] for scores in by_row.values())
        return {index: scores[:, :episodes] for index, scores in by_row.items()}
    episodes, _ = Counter(scores.shape[-1] for scores in by_row.values()).most_common(1)[0]
    return {index: scores for index, scores in by_row.items() if scores.shape[-1] == episodes}

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
    """Return a row's 'score', 'untrained' or 'gain' ``[seeds, episodes]``; None if a seed lacks it or has a NaN."""
    seeds = [
        _episode_values(result, result.modes[mode], quantity)
        for result in row.metric_results(metric)
        if mode in result.modes
    ]
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


def classes_of(rows: Sequence[RowRuns]) -> SharedClasses | None:
    """Return which episodes share which classes, if the records of all rows say so and have the same episodes."""
    recorded = {test.classes for row in rows for test in row.tests}
    classes = recorded.pop() if len(recorded) == 1 else None
    return None if classes is None else _shared(classes)


@lru_cache(maxsize=16)  # records of one group share their episodes
def _shared(classes: EpisodeClasses) -> SharedClasses | None:
    return shared_classes(classes.unpack())


def shared_scores(rows: Sequence[RowRuns], metric: str, mode: str) -> dict[int, Array]:
    """Return scores ``[seeds, episodes]`` by row index, of the rows that have the most common number of episodes."""
    scored = ((index, episode_scores(row, metric, mode)) for index, row in enumerate(rows))
    by_row = {index: scores for index, scores in scored if scores is not None}
    if not by_row:
        return {}
    episodes, _ = Counter(scores.shape[-1] for scores in by_row.values()).most_common(1)[0]
    return {index: scores for index, scores in by_row.items() if scores.shape[-1] == episodes}

"""Scores of single test episodes, as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mamlbench.record import Evaluation, ModeResult
from mamlbench.report.statistics.cochran_cox import Array
from mamlbench.report.table.groups import Row


def episode_scores(row: Row, mode: str, quantity: str = "score") -> Array | None:
    """A row's 'score', 'untrained' or 'gain' ``[seeds, episodes]``; None where a seed lacks them, or has a NaN."""
    seeds = [_of_one(test, test.modes[mode], quantity) for test in row.tests if mode in test.modes]
    if not seeds or len({len(each) for each in seeds}) != 1 or len(seeds[0]) < 2:
        return None
    scores = np.stack(seeds)
    return scores if np.isfinite(scores).all() else None


def _of_one(test: Evaluation, result: ModeResult, quantity: str) -> Array:
    score, untrained = (np.asarray(each, float) for each in (result.episode_scores, result.untrained_episode_scores))
    if quantity == "score":
        return score
    if quantity == "untrained":
        return untrained
    sign = 1.0 if test.higher_is_better else -1.0
    return sign * (score - untrained) if len(score) == len(untrained) else np.empty(0)


def shared_scores(rows: Sequence[Row], mode: str) -> dict[int, Array]:
    """Scores ``[seeds, episodes]``, by place, of the rows that have them for the same number of episodes."""
    found = {place: scores for place, row in enumerate(rows) if (scores := episode_scores(row, mode)) is not None}
    if not found:
        return {}
    usual, _ = Counter(scores.shape[-1] for scores in found.values()).most_common(1)[0]
    return {place: scores for place, scores in found.items() if scores.shape[-1] == usual}

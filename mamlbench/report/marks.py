"""Which cells of a table may be the best: the best one, and all that are not significantly worse.

Scores are compared episode by episode, over seeds too where both rows have three or more; times and memory run by run
(test of Cochran and Cox), between rows that were measured on the same machine, three times each. What cannot be judged
so is left unmarked, and the note says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mamlbench.report.cochran import Array
from mamlbench.report.columns import Column
from mamlbench.report.groups import Row
from mamlbench.report.statistics import SEEDS_FOR_A_CLAIM, not_worse_than_the_best

REPEATS = 3
"""Measured runs of a row below which its time and memory are not ranked."""


class Marks(NamedTuple):
    """What was found for one table."""

    best: list[list[bool | None]]
    """By row and column; None where nothing was judged."""
    note: str
    """What a mark means; empty where nothing is marked."""


def mark(rows: Sequence[Row], columns: Sequence[Column], elsewhere: Sequence[Row]) -> Marks:
    """Judge every column of scores, times and memory.

    Args:
        rows: in the order of the table.
        columns: those shown.
        elsewhere: rows whose times and memory must not be compared with the others'.
    """
    best: list[list[bool | None]] = [[None] * len(columns) for _ in rows]
    judged_scores: dict[int, Array] = {}
    ranked = unranked = False
    likewise: list[str] = []
    for place, column in enumerate(columns):
        if column.lower_is_better is None:
            continue
        if column.mode:
            found = judged_scores = _scores(rows, column.mode)
        elif not column.measures_machine:
            found = _measured(rows, column)
            likewise += [column.title] if len(found) > 1 else []
        else:
            here = [None if any(row is other for other in elsewhere) else row for row in rows]
            found = _measured(here, column)
            ranked |= len(found) > 1
            unranked |= len(found) < 2 <= sum(row is not None and bool(row.measurements) for row in here)
        for row, may_be in _judge(found, higher_is_better=not column.lower_is_better).items():
            best[row][place] = may_be
    if not any(may_be for row in best for may_be in row):
        return Marks(best, "")
    said = [_about_scores(list(judged_scores.values())), _about_machine(ranked=ranked, unranked=unranked)]
    said += [f"{title}: likewise, run by run (test of Cochran and Cox)." for title in likewise]
    return Marks(best, " ".join(filter(None, said)))


def _judge(found: dict[int, Array], *, higher_is_better: bool) -> dict[int, bool]:
    if len(found) < 2:
        return {}
    may_be = not_worse_than_the_best(list(found.values()), higher_is_better=higher_is_better)
    return dict(zip(found, may_be, strict=True))


def _scores(rows: Sequence[Row], mode: str) -> dict[int, Array]:
    """Scores ``[seeds, episodes]`` of the rows that have them for the same number of episodes, all of them finite."""
    found = {place: scores for place, row in enumerate(rows) if (scores := episode_scores(row, mode)) is not None}
    if not found:
        return {}
    usual, _ = Counter(scores.shape[-1] for scores in found.values()).most_common(1)[0]
    return {place: scores for place, scores in found.items() if scores.shape[-1] == usual}


def episode_scores(row: Row, mode: str) -> Array | None:
    """Scores ``[seeds, episodes]`` of a row; None where a seed lacks them, or one is not finite."""
    lists = [test.modes[mode].episode_scores for test in row.tests if mode in test.modes]
    if not lists or len({len(scores) for scores in lists}) != 1 or len(lists[0]) < 2:
        return None
    scores = np.asarray(lists, float)
    return scores if np.isfinite(scores).all() else None


def _measured(rows: Sequence[Row | None], column: Column) -> dict[int, Array]:
    """What each run measured, ``[runs, 2]`` (the same twice: there are no episodes), where every row has three."""
    taken = "measurements" if column.measures_machine else "seeds"
    values = {place: column.values(row) for place, row in enumerate(rows) if row is not None and getattr(row, taken)}
    if any(len(each) < REPEATS or not np.isfinite(each).all() for each in values.values()):
        return {}
    return {place: np.repeat(np.asarray(each, float)[:, None], 2, axis=1) for place, each in values.items()}


def _about_scores(judged: Sequence[Array]) -> str:
    if len(judged) < 2:
        return ""
    marked = "the best score, and every one not significantly worse"
    corrected = "Holm-corrected, 5 %"
    several = [len(scores) >= SEEDS_FOR_A_CLAIM for scores in judged]
    if all(several):
        return f"{marked} (claim about these algorithms: seeds and shared episodes both random, {corrected})."
    if sum(several) > 1:
        return (
            f"{marked} (of these checkpoints where a row has fewer than {SEEDS_FOR_A_CLAIM} seeds: paired t-test on "
            f"shared episodes; of algorithms elsewhere: seeds and episodes both random; {corrected})."
        )
    return f"{marked} (of these checkpoints: paired t-test on shared episodes, {corrected})."


def _about_machine(*, ranked: bool, unranked: bool) -> str:
    if ranked:
        return "Time and memory likewise, run by run (test of Cochran and Cox)."
    return f"Time and memory are not ranked: that takes {REPEATS} runs of every row." if unranked else ""

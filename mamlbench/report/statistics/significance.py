"""Which cells of a table may be the best: the best one, and all that are not significantly worse.

Scores are compared episode by episode, over seeds too where both rows have three or more; times and memory run by run
(test of Cochran and Cox), between rows that were measured on the same machine, three times each. What cannot be judged
so is left unmarked, and the note says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mamlbench.report.formatting import percent_or_number
from mamlbench.report.statistics.cochran_cox import Array
from mamlbench.report.statistics.comparison import POWER, SEEDS_FOR_A_CLAIM, Standing, standings
from mamlbench.report.statistics.episode_scores import shared_scores
from mamlbench.report.table.columns import Column
from mamlbench.report.table.groups import Row
from mamlbench.report.table.row_settings import is_share

REPEATS = 3
"""Measured runs of a row below which its time and memory are not ranked."""


class Marks(NamedTuple):
    """What was found for one table."""

    best: list[list[bool | None]]
    """By row and column; None where nothing was judged."""
    note: str
    """What a mark means; empty where nothing is marked."""
    detectable: str
    """How small a difference of scores could have been shown; empty where none were judged."""


def mark(rows: Sequence[Row], columns: Sequence[Column], elsewhere: Sequence[Row]) -> Marks:
    """Judge every column of scores, times and memory.

    Args:
        rows: in the order of the table.
        columns: those shown.
        elsewhere: rows whose times and memory must not be compared with the others'.
    """
    best: list[list[bool | None]] = [[None] * len(columns) for _ in rows]
    judged_scores: dict[int, Array] = {}
    detectable: list[str] = []
    ranked = unranked = False
    likewise: list[str] = []
    for place, column in enumerate(columns):
        if column.lower_is_better is None:
            continue
        if column.mode:
            found = judged_scores = shared_scores(rows, column.mode)
        elif not column.measures_machine:
            found = _measured(rows, column)
            likewise += [column.title] if len(found) > 1 else []
        else:
            here = [None if any(row is other for other in elsewhere) else row for row in rows]
            found = _measured(here, column)
            ranked |= len(found) > 1
            unranked |= len(found) < 2 <= sum(row is not None and bool(row.measurements) for row in here)
        judged = _judge(found, higher_is_better=not column.lower_is_better)
        for row, standing in judged.items():
            best[row][place] = standing.may_be_best
        if column.mode and judged:
            detectable.append(f"{_span(judged.values(), share=any(map(is_share, rows)))} {column.title}")
    if not any(may_be for row in best for may_be in row):
        return Marks(best, "", "")
    said = [_about_scores(list(judged_scores.values())), _about_machine(ranked=ranked, unranked=unranked)]
    said += [f"{title}: likewise, run by run (test of Cochran and Cox)." for title in likewise]
    return Marks(best, " ".join(filter(None, said)), _about_power(detectable))


def _judge(found: dict[int, Array], *, higher_is_better: bool) -> dict[int, Standing]:
    if len(found) < 2:
        return {}
    return dict(zip(found, standings(list(found.values()), higher_is_better=higher_is_better), strict=True))


def _span(judged: Iterable[Standing], *, share: bool) -> str:
    """The smallest detectable differences of the rows: ``3.1 to 5.2 points``."""
    known = [each.detectable for each in judged if each.detectable is not None]
    ends = dict.fromkeys(percent_or_number(end, share) for end in (min(known), max(known)))
    return " to ".join(ends) + (" points" if share else "")


def _about_power(detectable: Sequence[str]) -> str:
    if not detectable:
        return ""
    share = f"{100 * POWER:.0f} %"
    return f"Smallest difference from the best that would be found in {share} of repetitions: {', '.join(detectable)}."


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

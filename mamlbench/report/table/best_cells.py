"""Marking the best cells of each table column: the best one and all that are not significantly worse.

Scores are compared episode by episode, and over seeds as well if both rows have three or more. Times and memory are
compared run by run (test of Cochran and Cox) between rows measured on the same machine with at least three runs each.
Cells that cannot be compared are left unmarked, and the note below the table says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mamlbench.report.formatting import percent_or_number
from mamlbench.report.statistics.episode_scores import shared_scores
from mamlbench.report.statistics.multiple_comparisons import BestComparison, compare_with_best
from mamlbench.report.statistics.significance_tests import MIN_SEEDS_PER_SIDE, POWER
from mamlbench.report.table.columns import Column
from mamlbench.report.table.groups import RowRuns
from mamlbench.student_t import Array

MIN_RUNS = 3
"""Measured runs of a row below which its time and memory are not ranked."""


class Marks(NamedTuple):
    """The marks of one table."""

    best: list[list[bool | None]]
    """By row and column; None if the cell was not compared."""
    note: str
    """What a mark means; empty if nothing is marked."""
    detectable: str
    """The minimum detectable effects of the scores; empty if no scores were compared."""


def mark(rows: Sequence[RowRuns], columns: Sequence[Column], other_machine: Sequence[RowRuns]) -> Marks:
    """Mark the best cells of every column of scores, times and memory.

    Args:
        rows: in the order of the table.
        columns: the columns shown.
        other_machine: rows whose times and memory must not be compared with the others'.
    """
    best: list[list[bool | None]] = [[None] * len(columns) for _ in rows]
    compared_scores: list[Array] = []
    detectable: list[str] = []
    notes = _MachineNotes()
    for index, column in enumerate(columns):
        if column.lower_is_better is None:
            continue
        values = _values_to_compare(rows, column, other_machine)
        if column.mode:
            compared_scores = list(values.values())
        else:
            notes.add(column, values, rows, other_machine)
        compared = _compare_rows(values, higher_is_better=not column.lower_is_better)
        for row, comparison in compared.items():
            best[row][index] = comparison.may_be_best
        if column.mode and compared:
            detectable.append(f"{_range(compared.values(), percent=column.percent)} {column.title}")
    if not any(is_best for row in best for is_best in row):
        return Marks(best, "", "")
    has_classes = any(test.protocol.ways > 1 for row in rows for test in row.tests)
    sentences = [_note_on_scores(compared_scores, has_classes=has_classes), *notes.sentences()]
    return Marks(best, " ".join(filter(None, sentences)), _note_on_power(detectable))


class _MachineNotes:
    """What the note must say about columns that are compared run by run."""

    def __init__(self) -> None:
        self.ranked = self.unranked = False
        self.plugin_titles: list[str] = []

    def add(
        self, column: Column, values: dict[int, Array], rows: Sequence[RowRuns], other_machine: Sequence[RowRuns]
    ) -> None:
        if not column.measures_machine:
            self.plugin_titles += [column.title] if len(values) > 1 else []
            return
        self.ranked |= len(values) > 1
        measured = sum(bool(row.measurements) for row in _same_machine(rows, other_machine) if row is not None)
        self.unranked |= len(values) < 2 <= measured

    def sentences(self) -> list[str]:
        machine = ""
        if self.ranked:
            machine = "Time and memory: the same, compared run by run (Cochran-Cox test)."
        elif self.unranked:
            machine = f"Time and memory are not ranked: this needs {MIN_RUNS} runs of every row."
        plugins = (f"{title}: the same, compared run by run (Cochran-Cox test)." for title in self.plugin_titles)
        return [machine, *plugins]


def _same_machine(rows: Sequence[RowRuns], other_machine: Sequence[RowRuns]) -> list[RowRuns | None]:
    """Replace rows measured on another machine by None."""
    return [None if any(row is other for other in other_machine) else row for row in rows]


def _values_to_compare(rows: Sequence[RowRuns], column: Column, other_machine: Sequence[RowRuns]) -> dict[int, Array]:
    """Return the values ``[seeds or runs, episodes]`` by row index of the rows that may be compared."""
    if column.mode:
        return shared_scores(rows, column.metric, column.mode)
    return _run_values(_same_machine(rows, other_machine) if column.measures_machine else rows, column)


def _run_values(rows: Sequence[RowRuns | None], column: Column) -> dict[int, Array]:
    """Return the measured value of each run, ``[runs, 2]``; nothing unless every row has three runs.

    ``compare`` takes episodes in the last dimension. Runs have none, so the value is repeated.
    """
    source = "measurements" if column.measures_machine else "seed_runs"
    values = {index: column.values(row) for index, row in enumerate(rows) if row is not None and getattr(row, source)}
    if any(len(runs) < MIN_RUNS or not np.isfinite(runs).all() for runs in values.values()):
        return {}
    return {index: np.repeat(np.asarray(runs, float)[:, None], 2, axis=1) for index, runs in values.items()}


def _compare_rows(values: dict[int, Array], *, higher_is_better: bool) -> dict[int, BestComparison]:
    if len(values) < 2:
        return {}
    return dict(zip(values, compare_with_best(list(values.values()), higher_is_better=higher_is_better), strict=True))


def _range(compared: Iterable[BestComparison], *, percent: bool) -> str:
    """Format the range of the minimum detectable effects: ``3.1 to 5.2 points``."""
    effects = [row.minimum_detectable_effect for row in compared if row.minimum_detectable_effect is not None]
    ends = dict.fromkeys(percent_or_number(end, percent) for end in (min(effects), max(effects)))
    return " to ".join(ends) + (" points" if percent else "")


def _note_on_power(detectable: Sequence[str]) -> str:
    if not detectable:
        return ""
    return f"Minimum detectable difference from the best (power {100 * POWER:.0f} %): {', '.join(detectable)}."


def _note_on_scores(compared: Sequence[Array], *, has_classes: bool) -> str:
    if len(compared) < 2:
        return ""
    population = " on these test classes" if has_classes else ""
    marked = f"the best score and all scores not significantly worse{population} (5 %, Holm-corrected)."
    over_seeds = [len(scores) >= MIN_SEEDS_PER_SIDE for scores in compared]
    algorithms = "claim about the algorithms; seeds and shared episodes are both random"
    checkpoints = "claim about these checkpoints only; paired t-test on shared episodes"
    if all(over_seeds):
        return f"{marked} Scores: {algorithms}."
    if sum(over_seeds) > 1:  # two rows with enough seeds are compared as algorithms, the others as checkpoints
        few_seeds = f"Scores of rows with fewer than {MIN_SEEDS_PER_SIDE} seeds"
        return f"{marked} {few_seeds}: {checkpoints}. Other scores: {algorithms}."
    return f"{marked} Scores: {checkpoints}."

"""What the tables of all statistics across cells share: conditions, columns, cells with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mamlbench.report.across.benchmark_cells import MethodKey
from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.formatting import percent_or_number, printable
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.table import Table, TableRow
from mamlbench.student_t import Array

MIN_RUNS = 3
"""Fewer runs per cell give no interval: the bootstrap of two runs knows three outcomes."""


class AcrossConditions(NamedTuple):
    """What a table across cells was computed from."""

    statistic: str
    metric: str
    cells: int
    datasets: int


def across_table(
    statistic: str,
    title: str,
    scores: AcrossScores,
    *,
    columns: Sequence[Column],
    rows: Sequence[TableRow],
    notes: Sequence[str],
) -> Table:
    """Build the table of one statistic; the title is followed by the number of cells and data sets."""
    metrics = ", ".join(dict.fromkeys(cell.metric for cell in scores.cells))
    count, datasets = len(scores.cells), len(scores.datasets)
    return Table(
        title=f"{title} ({count} cell{'s' if count != 1 else ''} of {plural(datasets, 'data set')})",
        conditions=AcrossConditions(statistic, metrics, count, datasets),
        unit=unit_of(scores),
        columns=list(columns),
        rows=list(rows),
        notes=[note for note in notes if note],
    )


def plural(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 cell``, ``3 cells``."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def unit_of(scores: AcrossScores) -> str:
    """Return the unit that all cells share; empty if they do not, and for a metric without one."""
    units = {cell.unit for cell in scores.cells}
    return units.pop() if len(units) == 1 else ""


def named_metric(scores: AcrossScores) -> str:
    """Return metric and unit of scores on one scale: ``accuracy, %``."""
    cell = scores.cells[0]
    return printable(f"{cell.metric}, {cell.unit}" if cell.unit else cell.metric)


def column(name: str, title: str, *, numeric: bool = True) -> Column:
    """Return a column whose cells are computed from all methods at once, not from one row of runs."""
    return Column(name, title, title, lambda row: TableCell(), numeric=numeric)


def method_row(method: MethodKey, cells: Sequence[TableCell]) -> TableRow:
    """Return the row of a method, or of a pair whose first method it is."""
    return TableRow(method.algorithm, method.settings_text, list(cells))


def shown_in(unit: str) -> Callable[[float], str]:
    """Return how scores of this unit are written: fractions as percent."""
    return lambda value: percent_or_number(value, unit == "%")


def with_interval(value: float, interval: Array | None, show: Callable[[float], str]) -> TableCell:
    """Return a cell ``81.2 [79.0, 83.1]``; the value alone without an interval."""
    ends = interval_cell(interval, show)
    return TableCell(f"{show(value)} {ends.text}".rstrip(), {"": value, **ends.data})


def interval_cell(interval: Array | None, show: Callable[[float], str]) -> TableCell:
    """Return a cell ``[79.0, 83.1]``; an empty one without an interval."""
    if interval is None:
        return TableCell()
    low, high = (float(end) for end in interval)
    return TableCell(f"[{show(low)}, {show(high)}]", {"low": low, "high": high})


def not_on_the_scale(scores: AcrossScores, on_scale: AcrossScores) -> str:
    """Say which cells are not part of a statistic that averages scores; empty if all are."""
    others = [cell.title for cell in scores.cells if cell not in on_scale.cells]
    if not others:
        return ""
    return (
        f"Only cells of {on_scale.cells[0].metric}: scores of another metric have another scale. "
        f"Not part of it: {'; '.join(others)}."
    )


def about_brackets(scores: AcrossScores, meaning: str) -> str:
    """Explain the brackets; empty if no method has enough runs for any."""
    return f"Brackets: {meaning}." if any(len(runs) >= MIN_RUNS for runs in scores.scores) else ""


def too_few_runs(scores: AcrossScores) -> str:
    """Say which methods have no interval; empty if all have one."""
    few = [str(method) for method, runs in zip(scores.methods, scores.scores, strict=True) if len(runs) < MIN_RUNS]
    if not few:
        return ""
    return f"No interval over runs with fewer than {MIN_RUNS} training seeds on each cell: {', '.join(few)}."

"""A column of a comparison table: what it shows as text and as numbers for other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mamlbench.report.formatting import number, percent_or_number
from mamlbench.report.table.groups import RowRuns


@dataclass(frozen=True)
class TableCell:
    """One cell of a table."""

    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Numbers in base units (fractions, seconds, bytes), by suffix of the column's name."""
    mark: str = ""
    """A sign after the text that a note below the table explains."""
    best: bool | None = None
    """Whether it is the best of its column or not significantly worse; None if the cell was not compared."""
    bad: bool = False


@dataclass(frozen=True)
class Column:
    """One column of one table."""

    name: str
    title: str
    about: str
    cell: Callable[[RowRuns], TableCell]
    numeric: bool = True
    measures_machine: bool = False
    """Whether it holds times or memory: comparable only on the same machine and software."""
    lower_is_better: bool | None = None
    """None if neither direction is better."""
    metric: str = ""
    mode: str = ""
    """The metric and the mode of a column of scores; empty for other columns."""
    percent: bool = False
    """Whether scores are fractions, shown in percent."""
    values: Callable[[RowRuns], list[float]] = lambda row: []
    """One value per finished run in base units, for times, memory and a plugin's numbers."""
    alias: str = ""
    """A second name: of the shown metric's columns, the one with the metric in it."""
    problem: str = ""
    """Why cells are empty that should not be: the error of a plugin's column."""


def text_cell(text: str) -> TableCell:
    """Return a cell of words."""
    return TableCell(text, {"": text})


def text_column(name: str, title: str, about: str, cell: Callable[[RowRuns], TableCell]) -> Column:
    """Return a column of words."""
    return Column(name, title, about, cell, numeric=False)


def number_column(
    name: str,
    title: str,
    about: str,
    value_of: Callable[[RowRuns], float | None],
    *,
    percent: bool = False,
    scale: float = 1.0,
) -> Column:
    """Return a column of one number per row, shown times ``scale``; cells are empty if ``value_of`` returns None."""

    def cell(row: RowRuns) -> TableCell:
        value = value_of(row)
        if value is None:
            return TableCell()
        return TableCell(percent_or_number(value, True) if percent else number(value * scale), {"": value})

    return Column(name, title, about, cell)

"""Columns from plugins: a third-party function is called for each row, and may fail without harm to the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from mamlbench.errors import describe_error, one_line
from mamlbench.interrupts import is_interrupt
from mamlbench.plugin import ReportColumn
from mamlbench.record import RunRecord
from mamlbench.report.formatting import number, percent_or_number
from mamlbench.report.statistics.estimates import mean_of
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.groups import Group, RowRuns

MAX_ERROR_LENGTH = 200
"""Characters of an error that are shown."""
MAX_EXACT = 2**53
"""Integers below it are floats without loss; larger ones are shown as floats."""


class PluginColumns(Mapping[str, Column]):
    """The plugins' columns for one table, each computed on first use."""

    def __init__(self, registered: Mapping[str, ReportColumn], group: Group) -> None:
        self._registered, self._group = registered, group
        self._computed: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name not in self._computed:
            self._computed[name] = _column(self._registered[name], self._group)
        return self._computed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._registered)

    def __len__(self) -> int:
        return len(self._registered)

    @property
    def problems(self) -> list[str]:
        """One sentence for each column that failed in at least one row."""
        return [column.problem for column in self._computed.values() if column.problem]


def _column(registered: ReportColumn, group: Group) -> Column:
    values, errors = _call(registered, group.rows)
    has_text = any(isinstance(value, str) for row_values in values.values() for value in row_values)
    percent = registered.unit == "%"

    def numbers(row: RowRuns) -> list[float]:
        return [float(value) for value in values[id(row)] if not isinstance(value, str)]

    return Column(
        registered.name,
        f"{registered.heading}, {registered.unit}" if registered.unit else registered.heading,
        registered.about or f"from {_origin(registered)}",
        lambda row: _cell(values[id(row)], percent=percent),
        numeric=not has_text,
        measures_machine=registered.measures_machine,
        lower_is_better=None if has_text else registered.lower_is_better,
        values=numbers if registered.of == "record" else lambda row: [],
        problem=_problem(registered, errors, len(group.rows)),
    )


def _call(registered: ReportColumn, rows: Sequence[RowRuns]) -> tuple[dict[int, list[Any]], list[BaseException]]:
    """Call the function for each row. Return its values by the row's id (empty if it failed), and its errors."""
    values: dict[int, list[Any]] = {id(row): [] for row in rows}
    errors: list[BaseException] = []
    for row in rows:
        try:
            values[id(row)] = _values(registered.function(), registered.of, row.seed_runs or row.unfinished)
        except BaseException as error:  # third-party code may raise anything
            if is_interrupt(error):
                raise
            errors.append(error)
    return values, errors


def _values(function: Callable[[Any], Any], argument: str, runs: list[RunRecord]) -> list[float | str]:
    results = [function(runs)] if argument == "records" else [function(run) for run in runs]
    return [_plain(result) for result in results if result is not None]


def _plain(result: Any) -> float | str:
    """Convert a result to one of Python's own numbers or strings. Raises TypeError for anything else."""
    if isinstance(result, str):
        return str(result)
    if isinstance(result, bool):
        return "yes" if result else "no"
    if isinstance(result, Integral) and abs(int(result)) < MAX_EXACT:
        return int(result)
    if isinstance(result, Real):
        return float(result)
    raise TypeError(f"it returned a {type(result).__name__}, not a number or a string")


def _cell(values: list[Any], *, percent: bool) -> TableCell:
    if not values:
        return TableCell()
    if any(isinstance(value, str) for value in values):
        text = ", ".join(dict.fromkeys(value if isinstance(value, str) else number(value) for value in values))
        return TableCell(text, {"": text})
    mean = values[0] if len(values) == 1 else mean_of(values)
    return TableCell(percent_or_number(mean, percent), {"": mean})


def _problem(registered: ReportColumn, errors: Sequence[BaseException], rows: int) -> str:
    if not errors:
        return ""
    first = errors[0]
    text = one_line(describe_error(first), MAX_ERROR_LENGTH).rstrip(".")
    which = "" if len(errors) == rows else f" in {len(errors)} of {rows} rows"
    return f"Column '{registered.name}' ({_origin(registered)}) failed and is empty{which}: {text}."


def _origin(registered: ReportColumn) -> str:
    return Path(registered.origin).name

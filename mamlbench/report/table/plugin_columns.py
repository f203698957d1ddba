"""Columns that plugins bring: a stranger's function is asked for each row, and may fail without harm to the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from mamlbench.plugin import ReportColumn
from mamlbench.record import RunRecord
from mamlbench.report.formatting import number, percent_or_number
from mamlbench.report.statistics.estimates import mean_of
from mamlbench.report.table.columns import Cell, Column
from mamlbench.report.table.groups import Group, Row

LONGEST = 200
"""Characters of an error that are told."""
EXACT = 2**53
"""Integers below it are floats without loss; greater ones are written as floats."""


class PluginColumns(Mapping[str, Column]):
    """The plugins' columns for one table, each worked out when it is first wanted."""

    def __init__(self, registered: Mapping[str, ReportColumn], group: Group) -> None:
        self._registered, self._group = registered, group
        self._made: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            self._made[name] = _column(self._registered[name], self._group)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._registered)

    def __len__(self) -> int:
        return len(self._registered)

    @property
    def problems(self) -> list[str]:
        """One sentence for each column that failed somewhere."""
        return [column.problem for column in self._made.values() if column.problem]


def _column(registered: ReportColumn, group: Group) -> Column:
    found, errors = _ask(registered, group.rows)
    words = any(isinstance(value, str) for values in found.values() for value in values)
    share = registered.unit == "%"

    def numbers(row: Row) -> list[float]:
        return [float(value) for value in found[id(row)] if not isinstance(value, str)]

    return Column(
        registered.name,
        f"{registered.heading}, {registered.unit}" if registered.unit else registered.heading,
        registered.about or f"from {_origin(registered)}",
        lambda row: _cell(found[id(row)], share=share),
        numeric=not words,
        measures_machine=registered.measures_machine,
        lower_is_better=None if words else registered.lower_is_better,
        values=numbers if registered.of == "record" else lambda row: [],
        problem=_sentence(registered, errors, len(group.rows)),
    )


def _ask(registered: ReportColumn, rows: Sequence[Row]) -> tuple[dict[int, list[Any]], list[BaseException]]:
    """What the function says of each row, by the row's id (an empty list where it fails), and its errors."""
    found: dict[int, list[Any]] = {id(row): [] for row in rows}
    errors: list[BaseException] = []
    for row in rows:
        try:
            found[id(row)] = _values(registered.function(), registered.of, row.seeds or row.unfinished)
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything
            errors.append(error)
    return found, errors


def _values(function: Callable[[Any], Any], of: str, runs: list[RunRecord]) -> list[float | str]:
    answers = [function(runs)] if of == "records" else [function(run) for run in runs]
    return [_plain(answer) for answer in answers if answer is not None]


def _plain(answer: Any) -> float | str:
    """A number or a text as Python's own. Raises TypeError for anything else."""
    if isinstance(answer, str):
        return str(answer)
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, Integral) and abs(int(answer)) < EXACT:
        return int(answer)
    if isinstance(answer, Real):
        return float(answer)
    raise TypeError(f"it gave a {type(answer).__name__}, not a number or a text")


def _cell(values: list[Any], *, share: bool) -> Cell:
    if not values:
        return Cell()
    if any(isinstance(value, str) for value in values):
        text = ", ".join(dict.fromkeys(value if isinstance(value, str) else number(value) for value in values))
        return Cell(text, {"": text})
    mean = values[0] if len(values) == 1 else mean_of(values)
    return Cell(percent_or_number(mean, share), {"": mean})


def _sentence(registered: ReportColumn, errors: Sequence[BaseException], rows: int) -> str:
    if not errors:
        return ""
    first = errors[0]
    said = f"{type(first).__name__}: {first}" if str(first) else type(first).__name__
    said = said.splitlines()[0][:LONGEST].rstrip(".")
    where = "" if len(errors) == rows else f" in {len(errors)} of {rows} rows"
    return f"Column '{registered.name}' ({_origin(registered)}) failed and is empty{where}: {said}."


def _origin(registered: ReportColumn) -> str:
    return Path(registered.origin).name

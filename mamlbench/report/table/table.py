"""Comparison tables as plain data, ready for any renderer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mamlbench.plugin import ReportColumn
from mamlbench.record import RunRecord
from mamlbench.report.statistics.significance import mark
from mamlbench.report.table import notes, row_settings
from mamlbench.report.table.columns import DEFAULT, Cell, Column, choose_columns
from mamlbench.report.table.groups import Conditions, Group, Row, group_records
from mamlbench.report.table.plugin_columns import PluginColumns

NO_PLUGINS: Mapping[str, ReportColumn] = {}
ELSEWHERE = "†"
"""Marks a time or a memory that must not be compared with those of the other rows."""


@dataclass(frozen=True)
class TableRow:
    """One algorithm, with the settings that tell it from its other rows."""

    algorithm: str
    settings: str
    cells: list[Cell]
    failed: bool = False


@dataclass(frozen=True)
class Table:
    """One group of comparable runs."""

    title: str
    conditions: Conditions
    unit: str
    columns: list[Column]
    rows: list[TableRow]
    notes: list[str]
    marked: str = ""
    """What the mark of the best cells means; each format puts its own sign before it. Empty where none is marked."""
    problems: Sequence[str] = ()
    """A sentence for each plugin's column that failed; the notes hold them too."""


def build_tables(
    records: Iterable[RunRecord],
    columns: Sequence[str] = (),
    sort: str | None = None,
    plugged: Mapping[str, ReportColumn] = NO_PLUGINS,
) -> list[Table]:
    """Build one table per group of comparable records.

    Args:
        records: finished or not.
        columns: names of columns ('all' for every one, 'default' for the default ones); the default ones where empty.
        sort: name of the column to sort by, best first; the score of the first mode where None.
        plugged: columns that plugins bring, by name; they stand where they are asked for.

    Raises ConfigError for a column that is not known.
    """
    groups = group_records(records)
    names = tuple(columns) or DEFAULT
    return [
        _build(group, groups[:place], names, sort, PluginColumns(plugged, group)) for place, group in enumerate(groups)
    ]


def _build(
    group: Group, earlier: Sequence[Group], names: tuple[str, ...], sort: str | None, plugged: PluginColumns
) -> Table:
    columns = choose_columns(group, names, plugged)
    by = [*choose_columns(group, (sort or "score",), plugged), *choose_columns(group, ("score",))][0]
    rows = sorted(group.rows, key=_order(by))
    elsewhere, why = _measured_elsewhere(rows)
    marks = mark(rows, columns, elsewhere)
    made = [
        _table_row(row, columns, best, elsewhere=any(row is other for other in elsewhere))
        for row, best in zip(rows, marks.best, strict=True)
    ]
    shown_machine = any(column.measures_machine for column in columns)
    return Table(
        title=notes.title(group),
        conditions=group.conditions,
        unit=group.reference.unit if group.reference else "",
        columns=columns,
        rows=made,
        notes=[
            *notes.about(group, elsewhere, _intervals_over(made)),
            *([marks.detectable] if marks.detectable else []),
            *([f"{ELSEWHERE} {why}"] if elsewhere and shown_machine else []),
            *notes.not_comparable(group, earlier),
            *notes.failures(group),
            *plugged.problems,
        ],
        marked=marks.note,
        problems=plugged.problems,
    )


def _intervals_over(rows: Sequence[TableRow]) -> set[str]:
    """What the ± in a table are over: 'seeds', 'episodes', both or, where there is none, nothing."""
    return {
        cell.data["interval_over"]
        for row in rows
        for cell in row.cells
        if "±" in cell.text and "interval_over" in cell.data
    }


def _table_row(row: Row, columns: Sequence[Column], best: Sequence[bool | None], *, elsewhere: bool) -> TableRow:
    cells = [
        column.cell(row) if may_be is None else replace(column.cell(row), best=may_be)
        for column, may_be in zip(columns, best, strict=True)
    ]
    if elsewhere:
        cells = [
            replace(cell, mark=cell.mark + ELSEWHERE) if column.measures_machine and cell.text else cell
            for cell, column in zip(cells, columns, strict=True)
        ]
    return TableRow(row.algorithm, row.described, cells, failed=not row.seeds)


def _order(column: Column) -> Callable[[Row], tuple[Any, ...]]:
    """Best first; rows without a number last, all ties by name."""
    sign = 1.0 if column.lower_is_better in (True, None) else -1.0

    def key(row: Row) -> tuple[Any, ...]:
        value = column.cell(row).data.get("")
        if isinstance(value, str):
            return (not row.seeds, 0.0, value, row.algorithm, row.described)
        known = isinstance(value, int | float) and math.isfinite(value)
        return (not known, sign * float(value or 0) if known else 0.0, "", row.algorithm, row.described)

    return key


def _measured_elsewhere(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """Rows measured on another machine, or with other software, than most; and what differs."""
    measured = [row for row in rows if row.measurements]
    machines = {id(row): row_settings.machine(row) for row in measured}
    if len({repr(machine) for machine in machines.values()}) < 2:
        return [], ""
    usual, _ = Counter(repr(machines[id(row)]) for row in measured).most_common(1)[0]
    reference = next(machine for machine in machines.values() if repr(machine) == usual)
    others = [row for row in measured if repr(machines[id(row)]) != usual]
    differing = dict.fromkeys(
        name
        for row in others
        for name in {**reference, **machines[id(row)]}
        if machines[id(row)].get(name) != reference.get(name)
    )
    return others, f"time and memory not comparable with the other rows: other {', '.join(differing)}"

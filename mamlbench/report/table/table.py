"""Comparison tables as plain data, ready for any renderer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mamlbench.plugin import ReportColumn
from mamlbench.record import RunRecord
from mamlbench.report.table import doubts, notes, row_settings, seen_test_data
from mamlbench.report.table.best_cells import mark
from mamlbench.report.table.choose_columns import DEFAULT, choose_columns
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.groups import Group, RowRuns, group_records
from mamlbench.report.table.plugin_columns import PluginColumns

NO_PLUGINS: Mapping[str, ReportColumn] = {}
OTHER_MACHINE = "†"
"""Marks a time or memory that must not be compared with those of the other rows."""


@dataclass(frozen=True)
class TableRow:
    """One algorithm, with the settings that distinguish it from its other rows."""

    algorithm: str
    settings: str
    cells: list[TableCell]
    failed: bool = False
    name: str = ""
    """What it is called, short; empty: the algorithm and the settings."""
    runs: RowRuns | None = field(default=None, compare=False, repr=False)
    """The runs behind it; None in tables of statistics across groups."""


class TableConditions(Protocol):
    """What holds for every row of a table: a named tuple, such as ``ScoreConditions``."""

    def _asdict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Table:
    """One group of comparable runs, or one statistic across groups."""

    title: str
    conditions: TableConditions
    unit: str
    columns: list[Column]
    rows: list[TableRow]
    notes: list[str]
    """What is particular to these runs: what limits a comparison, doubts, failures."""
    explanations: Sequence[str] = ()
    """What columns and signs mean, and where it was measured."""
    marked: str = ""
    """What the mark of the best cells means; each format puts its own sign before it. Empty if no cell is marked."""
    problems: Sequence[str] = ()
    """One sentence for each plugin's column that failed; the notes contain them too."""


def build_tables(
    records: Iterable[RunRecord],
    columns: Sequence[str] = (),
    sort: str | None = None,
    plugin_columns: Mapping[str, ReportColumn] = NO_PLUGINS,
    metric: str | None = None,
) -> list[Table]:
    """Build one table per group of comparable records.

    Args:
        records: finished or not.
        columns: names of columns ('all' for every one, 'default' for the default ones); the default ones if empty.
        sort: name of the column to sort by, best first; the score of the first mode if None.
        plugin_columns: columns from plugins, by name; shown if ``columns`` names them.
        metric: the metric of the default columns; the first of each table if None.

    Raises ConfigError for an unknown column, and if no record reports the metric.
    """
    return tables_of_groups(group_records(records, metric), columns, sort, plugin_columns)


def tables_of_groups(
    groups: Sequence[Group],
    columns: Sequence[str] = (),
    sort: str | None = None,
    plugin_columns: Mapping[str, ReportColumn] = NO_PLUGINS,
) -> list[Table]:
    """Build the table of each group; arguments and errors are those of ``build_tables``."""
    names = tuple(columns) or DEFAULT
    return [
        _build(groups, index, names, sort, PluginColumns(plugin_columns, group)) for index, group in enumerate(groups)
    ]


def _build(
    groups: Sequence[Group], index: int, names: tuple[str, ...], sort: str | None, plugin_columns: PluginColumns
) -> Table:
    group, metrics = groups[index], {metric for group in groups for metric in group.metrics}
    columns = choose_columns(group, names, plugin_columns, metrics)
    # The group may lack the sort column (a mode that none of its runs was tested in); then its score decides.
    sort_columns = choose_columns(group, (sort or "score", "score"), plugin_columns, metrics)
    rows = sorted(group.rows, key=_sort_key(sort_columns[0]))
    other_machine, difference = _other_machine(rows)
    marks = mark(rows, columns, other_machine)
    table_rows = [
        _table_row(row, columns, best, other_machine=any(row is other for other in other_machine))
        for row, best in zip(rows, marks.best, strict=True)
    ]
    intervals = _intervals(table_rows)
    over = {data["interval_over"] for data in intervals}
    new_classes = {"new_classes_low" in data for data in intervals}
    explanations = [*notes.explanations(group, other_machine, over, new_classes), marks.detectable]
    explanations += seen_test_data.explanations(columns)
    table_notes = [*notes.limits(group, other_machine, new_classes), *seen_test_data.notes(group, columns)]
    if other_machine and any(column.measures_machine for column in columns):
        table_notes.append(f"{OTHER_MACHINE} {difference}")
    table_notes += [*notes.directions(group, columns), *doubts.notes(group)]
    table_notes += [*notes.not_comparable(group, groups[:index]), *notes.failures(group), *notes.skipped(group)]
    table_notes += plugin_columns.problems
    return Table(
        title=notes.title(group),
        conditions=group.conditions,
        unit=group.reference.unit if group.reference else "",
        columns=columns,
        rows=table_rows,
        notes=list(filter(None, table_notes)),
        explanations=list(filter(None, explanations)),
        marked=marks.note,
        problems=plugin_columns.problems,
    )


def _intervals(rows: Sequence[TableRow]) -> list[Mapping[str, Any]]:
    """Return the data of all cells with ±."""
    cells = [cell for row in rows for cell in row.cells]
    return [cell.data for cell in cells if "±" in cell.text and "interval_over" in cell.data]


def _table_row(
    row: RowRuns, columns: Sequence[Column], best: Sequence[bool | None], *, other_machine: bool
) -> TableRow:
    cells = [
        column.cell(row) if is_best is None else replace(column.cell(row), best=is_best)
        for column, is_best in zip(columns, best, strict=True)
    ]
    if other_machine:
        cells = [
            replace(cell, mark=cell.mark + OTHER_MACHINE) if column.measures_machine and cell.text else cell
            for cell, column in zip(cells, columns, strict=True)
        ]
    return TableRow(row.algorithm, row.label_text, cells, failed=not row.seed_runs, name=row.name, runs=row)


def _sort_key(column: Column) -> Callable[[RowRuns], tuple[Any, ...]]:
    """Return a sort key: best first, rows without a number last, ties by name."""
    sign = 1.0 if column.lower_is_better in (True, None) else -1.0

    def key(row: RowRuns) -> tuple[Any, ...]:
        value = column.cell(row).data.get("")
        if isinstance(value, str):
            return (not row.seed_runs, 0.0, value, row.algorithm, row.label_text)
        is_number = isinstance(value, int | float) and math.isfinite(value)
        return (not is_number, sign * float(value or 0) if is_number else 0.0, "", row.algorithm, row.label_text)

    return key


def _other_machine(rows: Sequence[RowRuns]) -> tuple[list[RowRuns], str]:
    """Return the rows measured on a different machine, or with different software, than most; and what differs."""
    measured = [row for row in rows if row.measurements]
    machines = {id(row): row_settings.machine(row) for row in measured}
    if len({repr(machine) for machine in machines.values()}) < 2:
        return [], ""
    most_common, _ = Counter(repr(machines[id(row)]) for row in measured).most_common(1)[0]
    reference = next(machine for machine in machines.values() if repr(machine) == most_common)
    others = [row for row in measured if repr(machines[id(row)]) != most_common]
    differing = dict.fromkeys(
        name
        for row in others
        for name in {**reference, **machines[id(row)]}
        if machines[id(row)].get(name) != reference.get(name)
    )
    return others, f"Time and memory are not comparable with the other rows: different {', '.join(differing)}."

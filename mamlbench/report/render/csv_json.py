"""Tables as CSV and JSON: numbers in base units (fractions, seconds, bytes), empty if unknown.

A field ``NAME_best`` says whether the cell of column ``NAME`` is marked. It is missing if the cell was not compared.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from mamlbench.report.formatting import printable
from mamlbench.report.render.cell_grid import label, notes
from mamlbench.report.table.table import Table, TableRow


def to_csv(tables: Sequence[Table]) -> str:
    """Write all rows of all tables under one header, with the conditions in every row."""
    rows = [row for table in tables for row in _rows(table)]
    names = dict.fromkeys(name for row in rows for name in row)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _escape(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def to_json(tables: Sequence[Table]) -> str:
    """Write a list of tables with title, conditions, unit, notes and rows. NaN and infinities become null."""
    return json.dumps([as_data(table) for table in tables], indent=1, allow_nan=False) + "\n"


def as_data(table: Table) -> dict[str, Any]:
    """Return title, conditions, unit, notes and rows, for JSON. NaN and infinities become None."""
    return {
        "title": table.title,
        "conditions": table.conditions._asdict(),
        "unit": table.unit,
        "notes": notes(table, "*_best"),
        "rows": [_finite(_row(table, row)) for row in table.rows],
    }


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        yield table.conditions._asdict() | _row(table, row)


def _row(table: Table, row: TableRow) -> dict[str, Any]:
    fields: dict[str, Any] = {"algorithm": row.algorithm, "differs_in": row.settings, "name": label(row)}
    for column, cell in zip(table.columns, row.cells, strict=True):
        for suffix, value in cell.data.items():
            fields[f"{column.name}_{suffix}" if suffix else column.name] = value
        if cell.best is not None:
            fields[f"{column.name}_best"] = cell.best
    return fields


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _escape(value: Any) -> Any:
    """Neutralize untrusted text: control characters for terminals, and formulas for spreadsheets."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text

"""What every text format shares: headings and rows of a table as words."""

from __future__ import annotations

from mamlbench.report.table.table import Table, TableRow


def headings(table: Table) -> list[str]:
    """Titles of all columns, the algorithm's first."""
    return ["algorithm", *(column.title for column in table.columns)]


def label(row: TableRow) -> str:
    """The algorithm, with what tells it from its other rows."""
    return f"{row.algorithm} ({row.settings})" if row.settings else row.algorithm


def cells(row: TableRow) -> list[str]:
    """Text and mark of each cell, the algorithm first."""
    return [label(row), *(cell.text + cell.mark for cell in row.cells)]


def notes(table: Table, sign: str) -> list[str]:
    """What stands below the table; first what the format's mark of the best cells means."""
    return [*([f"{sign}: {table.marked}"] if table.marked else []), *table.notes]

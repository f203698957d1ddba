"""Headings, row labels and notes as text, shared by all formats."""

from __future__ import annotations

from mamlbench.report.table.table import Table, TableRow


def headings(table: Table) -> list[str]:
    """Return the titles of all columns, starting with the algorithm."""
    return ["algorithm", *(column.title for column in table.columns)]


def label(row: TableRow) -> str:
    """Return the row's name, or the algorithm with the settings that distinguish it from its other rows."""
    return row.name or (f"{row.algorithm} ({row.settings})" if row.settings else row.algorithm)


def cells(row: TableRow) -> list[str]:
    """Return text and mark of each cell, starting with the row label."""
    return [label(row), *(cell.text + cell.mark for cell in row.cells)]


def notes(table: Table, sign: str) -> list[str]:
    """Return the notes below the table. The first explains ``sign``, the format's mark of the best cells."""
    return [*([f"{sign}: {table.marked}"] if table.marked else []), *table.explanations, *table.notes]

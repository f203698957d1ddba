"""Tables in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from mamlbench.report.columns import Cell
from mamlbench.report.render.grid import label, notes
from mamlbench.report.table import Table
from mamlbench.report.text import printable

BEST = "*"
"""Stands behind the best cells, for those who see no colour."""


def to_svg(tables: Sequence[Table]) -> str:
    """The terminal's picture as SVG, for a page that shows what a user sees."""
    console = Console(record=True, width=100, file=io.StringIO())
    print_tables(tables, console)
    return console.export_svg(title="mamlbench")


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Print each table under its title, with its notes."""
    for table in tables:
        console.print(Text(f"\n{printable(table.title)}", style="bold"))
        for columns in _pages(table, console):
            console.print(_grid(table, columns))
        for note in notes(table, BEST):
            console.print(Text(printable(note), style="dim"))


def _pages(table: Table, console: Console) -> Iterator[list[int]]:
    """Places of the columns that fit side by side; what does not fit goes below, each part with the algorithms."""
    alone = _natural_width(_grid(table, []), console)  # the algorithms' column, which every page has
    widths = [_natural_width(_grid(table, [place]), console) - alone for place in range(len(table.columns))]
    page: list[int] = []
    for place, width in enumerate(widths):
        if page and alone + sum(widths[each] for each in page) + width > console.width:
            yield page
            page = []
        page.append(place)
    yield page


def _natural_width(grid: RichTable, console: Console) -> int:
    """Width at which nothing is folded."""
    return Measurement.get(console, console.options.update(max_width=10_000), grid).maximum


def _grid(table: Table, columns: Sequence[int]) -> RichTable:
    made = RichTable(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    made.add_column("algorithm", overflow="fold", min_width=9)
    for column in (table.columns[place] for place in columns):
        made.add_column(column.title, justify="right" if column.numeric else "left", overflow="fold")
    signed = {place for place in columns if any(row.cells[place].best for row in table.rows)}
    for row in table.rows:
        made.add_row(Text(printable(label(row))), *(_text(row.cells[place], place in signed) for place in columns))
    return made


def _text(cell: Cell, signed: bool) -> Text:
    """The cell in words; in a column with marks, those without one keep its place free, so that digits align."""
    style = "bold green" if cell.best else "red" if cell.bad else ""
    return Text(printable(cell.text + cell.mark) + (BEST if cell.best else " " if signed else ""), style=style)

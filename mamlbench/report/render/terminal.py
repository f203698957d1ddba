"""Tables for the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from mamlbench.report.formatting import printable
from mamlbench.report.render.cell_grid import label, notes
from mamlbench.report.table.columns import TableCell
from mamlbench.report.table.table import Table

BEST = "*"
"""Follows the text of the best cells, for output without color."""
GAP = "  "
"""Space between two columns."""
EDGE = " "
"""Space on either side of a table."""
MIN_LABEL_WIDTH = 9
"""Smallest width of the label column, in terminal cells."""


def to_svg(tables: Sequence[Table]) -> str:
    """Render the terminal output as SVG."""
    console = Console(record=True, emoji=False, width=107, file=io.StringIO())
    print_tables(tables, console)
    return console.export_svg(title="mamlbench")


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Print each table with its title and notes."""
    for table in tables:
        console.print(Text(f"\n{printable(table.title)}", style="bold"))
        for grid in _pages(table, console.width):
            console.print(grid, crop=False)
        for note in notes(table, BEST):
            console.print(Text(printable(note), style="dim"))


@dataclass(frozen=True)
class _Column:
    """One column as text: heading, then a text and a style per row."""

    heading: str
    texts: list[str]
    styles: list[str]
    align_right: bool
    width: int
    """Preferred width in terminal cells; texts longer than this are wrapped."""

    @classmethod
    def fit(
        cls, heading: str, texts: list[str], styles: list[str], *, align_right: bool = False, min_width: int = 1
    ) -> _Column:
        """Make a column as wide as its longest text."""
        width = max(map(cell_len, (heading, *texts)))
        return cls(heading, texts, styles, align_right, max(width, min_width))


@dataclass(frozen=True)
class _Grid:
    """Columns side by side, as a rich renderable.

    rich's own tables measure and wrap every cell many times, which takes seconds for a thousand rows.
    """

    columns: Sequence[_Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        widths = _shrink([column.width for column in self.columns], options.max_width)
        plain, bold = Style.null(), console.get_style("bold")
        inner = sum(widths) + len(GAP) * (len(widths) - 1)
        empty = Segment(" " * (inner + 2 * len(EDGE)) + "\n")
        yield empty
        yield from _line([(column.heading, bold) for column in self.columns], self.columns, widths, console)
        yield Segment(f"{EDGE}{'─' * inner}{EDGE}\n")
        styles = {name: console.get_style(name) for column in self.columns for name in set(column.styles) if name}
        for row in range(len(self.columns[0].texts)):
            cells = [(column.texts[row], styles.get(column.styles[row], plain)) for column in self.columns]
            yield from _line(cells, self.columns, widths, console)
        yield empty


def _pages(table: Table, width: int) -> Iterator[_Grid]:
    """Split the columns into grids that fit the width, each starting with the label column."""
    columns = [_column(table, index) for index in range(len(table.columns))]
    labels = _label_column(table, max(width - _total_width(columns) - len(GAP), width // 3))
    page = [labels]
    for column in columns:
        if len(page) > 1 and _total_width([*page, column]) > width:
            yield _Grid(page)
            page = [labels]
        page.append(column)
    yield _Grid(page)


def _label_column(table: Table, max_width: int) -> _Column:
    """Make the column of row labels. Long labels are wrapped to leave space for the other columns."""
    texts = [printable(label(row)) for row in table.rows]
    column = _Column.fit("algorithm", texts, [""] * len(texts), min_width=MIN_LABEL_WIDTH)
    return replace(column, width=min(column.width, max(max_width, MIN_LABEL_WIDTH)))


def _column(table: Table, index: int) -> _Column:
    column, cells = table.columns[index], [row.cells[index] for row in table.rows]
    any_best = any(cell.best for cell in cells)
    texts, styles = [_text(cell, any_best) for cell in cells], [_style(cell) for cell in cells]
    return _Column.fit(printable(column.title), texts, styles, align_right=column.numeric)


def _total_width(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1) + 2 * len(EDGE)


def _shrink(widths: list[int], max_width: int) -> list[int]:
    """Reduce the widths until all fit: the label column first, the others if that is not enough."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) + 2 * len(EDGE) - max_width
    reduced = []
    for index, width in enumerate(widths):
        min_width = min(width, MIN_LABEL_WIDTH if index == 0 else 1)
        cut = max(min(excess, width - min_width), 0)
        reduced.append(width - cut)
        excess -= cut
    return reduced


def _line(
    cells: Sequence[tuple[str, Style]], columns: Sequence[_Column], widths: Sequence[int], console: Console
) -> Iterator[Segment]:
    """Render one row, in several lines if a cell is wrapped."""
    wrapped = [_wrap(text, width, console) for (text, _), width in zip(cells, widths, strict=True)]
    for line in range(max(map(len, wrapped))):
        yield Segment(EDGE)
        for index, parts in enumerate(wrapped):
            text = parts[line] if line < len(parts) else ""
            padding = " " * (widths[index] - cell_len(text))
            if index:
                yield Segment(GAP)
            yield Segment(padding + text if columns[index].align_right else text + padding, cells[index][1])
        yield Segment(f"{EDGE}\n")


def _wrap(text: str, width: int, console: Console) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    return [line.plain.rstrip() for line in Text(text).wrap(console, width, overflow="fold")]


def _text(cell: TableCell, any_best: bool) -> str:
    """Return the cell's text. In a column with a best mark, other cells get a space instead, to align the digits."""
    return printable(cell.text + cell.mark) + (BEST if cell.best else " " if any_best else "")


def _style(cell: TableCell) -> str:
    return "bold green" if cell.best else "red" if cell.bad else ""

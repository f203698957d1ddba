"""Tables in a terminal."""

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
from mamlbench.report.table.columns import Cell
from mamlbench.report.table.table import Table

BEST = "*"
"""Stands behind the best cells, for those who see no color."""
GAP = "  "
"""Between two columns."""
EDGE = " "
"""On either side of a table."""
NARROWEST = 9
"""Cells that the algorithms' column has at least."""


def to_svg(tables: Sequence[Table]) -> str:
    """The terminal's image as SVG, for a page that shows what a user sees."""
    console = Console(record=True, width=100, file=io.StringIO())
    print_tables(tables, console)
    return console.export_svg(title="mamlbench")


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Print each table under its title, with its notes."""
    for table in tables:
        console.print(Text(f"\n{printable(table.title)}", style="bold"))
        for grid in _pages(table, console.width):
            console.print(grid, crop=False)
        for note in notes(table, BEST):
            console.print(Text(printable(note), style="dim"))


@dataclass(frozen=True)
class _Column:
    """One column in words: heading, then a text and a style per row."""

    heading: str
    texts: list[str]
    styles: list[str]
    right: bool
    width: int
    """Terminal cells that it would like to have; at fewer than its longest text, texts are folded."""

    @classmethod
    def of(cls, heading: str, texts: list[str], styles: list[str], *, right: bool = False, least: int = 1) -> _Column:
        width = max(map(cell_len, (heading, *texts)))
        return cls(heading, texts, styles, right, max(width, least))


@dataclass(frozen=True)
class _Grid:
    """Columns side by side, for rich to print.

    rich's own tables measure and wrap every cell many times over, which takes seconds for a thousand rows.
    """

    columns: Sequence[_Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        widths = _fitted([column.width for column in self.columns], options.max_width)
        plain, bold = Style.null(), console.get_style("bold")
        inner = sum(widths) + len(GAP) * (len(widths) - 1)
        empty = Segment(" " * (inner + 2 * len(EDGE)) + "\n")
        yield empty
        yield from _line([(column.heading, bold) for column in self.columns], self.columns, widths, console)
        yield Segment(f"{EDGE}{'─' * inner}{EDGE}\n")
        known = {name: console.get_style(name) for column in self.columns for name in set(column.styles) if name}
        for row in range(len(self.columns[0].texts)):
            cells = [(column.texts[row], known.get(column.styles[row], plain)) for column in self.columns]
            yield from _line(cells, self.columns, widths, console)
        yield empty


def _pages(table: Table, width: int) -> Iterator[_Grid]:
    """The columns that fit side by side; what does not fit goes below, each part with the algorithms."""
    columns = [_column(table, place) for place in range(len(table.columns))]
    names = _names(table, max(width - _total(columns) - len(GAP), width // 3))
    page = [names]
    for one in columns:
        if len(page) > 1 and _total([*page, one]) > width:
            yield _Grid(page)
            page = [names]
        page.append(one)
    yield _Grid(page)


def _names(table: Table, most: int) -> _Column:
    """The algorithms: long labels are folded, so that they leave room for what is said of them."""
    texts = [printable(label(row)) for row in table.rows]
    column = _Column.of("algorithm", texts, [""] * len(texts), least=NARROWEST)
    return replace(column, width=min(column.width, max(most, NARROWEST)))


def _column(table: Table, place: int) -> _Column:
    column, cells = table.columns[place], [row.cells[place] for row in table.rows]
    signed = any(cell.best for cell in cells)
    texts, styles = [_text(cell, signed) for cell in cells], [_style(cell) for cell in cells]
    return _Column.of(printable(column.title), texts, styles, right=column.numeric)


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1) + 2 * len(EDGE)


def _fitted(widths: list[int], most: int) -> list[int]:
    """Widths of which all fit: the algorithms' is folded first, the others where that is not enough."""
    over = sum(widths) + len(GAP) * (len(widths) - 1) + 2 * len(EDGE) - most
    fitted = []
    for place, width in enumerate(widths):
        least = min(width, NARROWEST if place == 0 else 1)
        cut = max(min(over, width - least), 0)
        fitted.append(width - cut)
        over -= cut
    return fitted


def _line(
    cells: Sequence[tuple[str, Style]], columns: Sequence[_Column], widths: Sequence[int], console: Console
) -> Iterator[Segment]:
    """One row, in more than one line where a cell is folded."""
    folded = [_folded(text, width, console) for (text, _), width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, folded))):
        yield Segment(EDGE)
        for place, parts in enumerate(folded):
            text = parts[number] if number < len(parts) else ""
            room = " " * (widths[place] - cell_len(text))
            if place:
                yield Segment(GAP)
            yield Segment(room + text if columns[place].right else text + room, cells[place][1])
        yield Segment(f"{EDGE}\n")


def _folded(text: str, width: int, console: Console) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    return [each.plain.rstrip() for each in Text(text).wrap(console, width, overflow="fold")]


def _text(cell: Cell, signed: bool) -> str:
    """The cell in words; in a column with marks, those without one keep its place free, so that digits align."""
    return printable(cell.text + cell.mark) + (BEST if cell.best else " " if signed else "")


def _style(cell: Cell) -> str:
    return "bold green" if cell.best else "red" if cell.bad else ""

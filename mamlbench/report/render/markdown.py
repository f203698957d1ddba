"""Tables in Markdown, for a README, an issue or a CI job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mamlbench.report.formatting import printable
from mamlbench.report.render.cell_grid import cells, headings, notes
from mamlbench.report.table.table import Table, TableRow

_SPECIAL = "\\`*_[]<>|~&"


def to_markdown(tables: Sequence[Table]) -> str:
    """Write each table with its title and notes."""
    return "\n".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    rules = ["---", *("---:" if column.numeric else "---" for column in table.columns)]
    lines = [f"**{escape(table.title)}**", "", _line(map(escape, headings(table))), _line(rules)]
    lines += [_row(row) for row in table.rows]
    lines += ["", *map(list_item, notes(table, "Bold")), ""]
    return "\n".join(lines)


def _row(row: TableRow) -> str:
    texts = [escape(text) for text in cells(row)]
    is_best = [False, *(cell.best for cell in row.cells)]
    return _line(f"**{text}**" if best else text for text, best in zip(texts, is_best, strict=True))


def _line(parts: Iterable[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def escape(text: str) -> str:
    """Escape Markdown's special characters, including those of embedded HTML and its entities."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in printable(text).strip())


def list_item(text: str) -> str:
    """Return a list item of this text alone: what would begin a heading or a list in it is escaped."""
    return "- " + re.sub(r"^(\d+(?=[.)])|(?=[#+-]))", r"\1\\", escape(text))

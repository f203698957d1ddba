"""The short form of a table for the terminal: the columns that fit in one piece, and a legend of two lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mamlbench.report.table.table import Table
from mamlbench.run_spec import TEST_MODES

LEAVE_OUT = (
    *("preset", "memory", "milliseconds", "seen", "untrained"),
    *(*reversed(TEST_MODES), "seeds", "feature_seconds", "device_seconds"),
)
"""Columns that are left out until the rest fits, in this order; the score of the first mode stays."""


def narrow(table: Table, fits: Callable[[Table], bool]) -> Table:
    """Leave out columns until the table fits.

    Args:
        table: with any columns.
        fits: whether a table can be printed in one piece.
    """
    first_mode = next((column.name for column in table.columns if column.mode), "")
    for name in LEAVE_OUT:
        if fits(table):
            break
        if name != first_mode:
            table = _without(table, name)
    return table


def legend(table: Table, best: str) -> list[str]:
    """What the signs of a short table mean, then what is particular to its runs.

    Args:
        table: the table as it is printed.
        best: the sign behind the best cells.
    """
    texts = [cell.text for row in table.rows for cell in row.cells]
    names = {column.name for column in table.columns}
    parts = ["±: 95 % interval"] if any("±" in text for text in texts) else []
    parts += ["in parentheses for new classes"] if any("±" in text and text.endswith(")") for text in texts) else []
    parts += [f"{best}: best or not shown to be worse"] if table.marked else []
    parts += ["gain: over the untrained network"] if "gain" in names else []
    return [*([f"{'; '.join(parts)}. More: mamlbench report --notes."] if parts else []), *table.notes]


def _without(table: Table, name: str) -> Table:
    others = [index for index, column in enumerate(table.columns) if column.name != name]
    rows = [replace(row, cells=[row.cells[index] for index in others]) for row in table.rows]
    return replace(table, columns=[table.columns[index] for index in others], rows=rows)

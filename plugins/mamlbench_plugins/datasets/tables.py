"""Tables of comma-separated values from anywhere, read by one rule."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mamlbench.api import DataError

MAX_FIELD = 255
"""Characters of the longest value, as of the longest name of a file."""


def read_table(content: bytes | str, where: str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Read the values of some columns, one tuple per row, without spaces around them.

    Values may stand in quotes, lines may end in any way, the text is UTF-8 with or without a byte-order mark, other
    columns and empty lines are ignored, and a row that stands again counts once.

    Args:
        content: the file, or its text.
        where: what the table is called in messages.
        columns: names in the first line.

    Raises DataError for another encoding, missing or doubled columns, rows without a value, or quotes left open.
    """
    text = content if isinstance(content, str) else decode_table(content, where)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(f"{where} is not a table of comma-separated values: {error}.") from error
    needed = f"{where} needs the columns {' and '.join(columns)}"
    header = [name.strip() for name in rows[0]] if rows else []
    if any(header.count(column) != 1 for column in columns):
        raise DataError(f"{needed}, each once, in its first line.")
    places = [header.index(column) for column in columns]
    values: dict[tuple[str, ...], None] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = tuple(row[place].strip() for place in places if place < len(row))
        if len(cells) < len(places) or not all(_is_value(value) for value in cells):
            raise DataError(
                f"{needed} in every row; row {number} has no value of 1 to {MAX_FIELD:,} characters in one line."
            )
        values[cells] = None
    return list(values)


def _is_value(text: str) -> bool:
    return 0 < len(text) <= MAX_FIELD and text.splitlines() == [text] and "\x00" not in text


def decode_table(content: bytes, where: str) -> str:
    """Return the text of a table. Raises DataError if it is not UTF-8, with or without a byte-order mark."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not text in UTF-8 ({error}): save it as CSV in UTF-8.") from error
    if "\x00" in text:
        raise DataError(f"{where} is not text in UTF-8 (it has zeros): save it as CSV in UTF-8.")
    return text

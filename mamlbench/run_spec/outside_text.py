"""Limits for texts from outside, and words for messages about them, which suites, records and options share."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

MAX_DEPTH = 32
"""Levels of lists and tables in one another; records have eight."""


def read_limited(path: Path, limit: int) -> bytes:
    """Read a file of up to ``limit`` bytes; of a pipe or a device, which may have no end, as much.

    Raises OSError if it cannot be read, ValueError if it is longer.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def is_deep(value: Any) -> bool:
    """Whether lists and dicts are nested to more than ``MAX_DEPTH`` levels."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for outer in level:
            below += outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()
        level = below
    return bool(level)


_MAX_DIGITS = 20


def loads_strictly(text: bytes | str) -> Any:
    """Read JSON as its standard defines it: UTF-8, no NaN, no key that stands twice,
    no number of more than 20 digits, and not nested without end.

    Raises ValueError otherwise.
    """
    try:
        value = json.loads(
            text if isinstance(text, str) else text.decode(),
            parse_int=_integer,
            parse_constant=_refuse,
            object_pairs_hook=_without_twins,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if is_deep(value):
        raise ValueError("it is nested too deeply")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {shortened(max(names, key=names.count))} stands twice")
    return values


def escaped(text: str, length: int = 100) -> str:
    """Show a name from outside in one line, with control characters escaped, and three points if it is longer."""
    line = repr(text)[1:-1]
    return line if len(line) <= length else f"{line[:length]}..."


def file_name_of(text: str) -> str:
    """Return a name that every file system takes: what is no letter, digit, or one of ``._+-``, becomes ``_``."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", text).lstrip(".") or "_"


def shortened(value: Any, length: int = 100) -> str:
    """Show a value in one line of up to ``length`` characters and three points."""
    if isinstance(value, int) and value.bit_length() > 4 * length:
        return f"a number of {value.bit_length():,} bits"
    text = value.isoformat() if hasattr(value, "isoformat") else repr(value)
    return text if len(text) <= length else f"{text[:length]}..."

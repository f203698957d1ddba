"""Line numbers of the keys and array elements of a TOML document, which ``tomllib`` does not report.

The document has been parsed before, so it is valid. A scan over keys, strings, brackets and comments is enough.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]
"""Keys and, inside arrays, positions: ``("include", 0, "shots", 1)``."""

_BLANK = re.compile(r"(?:[\s,]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # a closing delimiter may follow one or two quotes of the text
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_ATOM = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, on which each key, table and array element of a valid document begins."""
    return _Scanner(text).lines


class _Scanner:
    """Scans a valid document once and records the line of each path."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}  # number of tables so far in each array of tables
        table: Path = ()
        self.skip(_BLANK)
        while self.position < len(text):
            if text[self.position] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Move past a pattern and return its text."""
        match = pattern.match(self.text, self.position)
        assert match is not None, f"not TOML at line {self.line()}"
        self.position = match.end()
        return match.group()

    def line(self) -> int:
        return bisect_right(self.starts, self.position)

    def add(self, path: Path, line: int) -> None:
        """Record the line of a path and of its parents."""
        for length in range(1, len(path) + 1):  # a.b.c = 1 also creates the tables a and a.b
            self.lines.setdefault(path[:length], line)

    def header(self) -> Path:
        """Read ``[table]`` or ``[[array]]`` and return its path."""
        line = self.line()
        is_array = self.text.startswith("[[", self.position)
        self.position += 1 + is_array
        path: Path = ()
        keys = self.key()
        for count, key in enumerate(keys, 1):
            path += (key,)
            if is_array and count == len(keys):
                self.tables[path] = self.tables.get(path, 0) + 1
            if path in self.tables:  # a path into an array of tables means its last table
                path += (self.tables[path] - 1,)
        self.add(path, line)
        self.position += 1 + is_array
        return path

    def key(self) -> tuple[str, ...]:
        """Read a dotted key with surrounding spaces."""
        parts = []
        while True:
            self.skip(_SPACE)
            if self.text[self.position] in "\"'":
                parts.append(tomllib.loads(f"key = {self.skip(_STRING)}")["key"])
            else:
                parts.append(self.skip(_BARE))
            self.skip(_SPACE)
            if self.text[self.position] != ".":
                return tuple(parts)
            self.position += 1

    def pair(self, table: Path) -> None:
        """Read ``key = value``."""
        line = self.line()
        path = table + self.key()
        self.add(path, line)
        self.position += 1  # =
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        opening = self.text[self.position]
        if opening in "\"'":
            self.skip(_STRING)
        elif opening == "[":
            self.array(path)
        elif opening == "{":
            self.inline_table(path)
        else:
            self.skip(_ATOM)

    def array(self, path: Path) -> None:
        self.position += 1
        self.skip(_BLANK)
        index = 0
        while self.text[self.position] != "]":
            element = (*path, index)
            self.add(element, self.line())
            self.value(element)
            self.skip(_BLANK)
            index += 1
        self.position += 1

    def inline_table(self, path: Path) -> None:
        self.position += 1
        self.skip(_BLANK)
        while self.text[self.position] != "}":
            self.pair(path)
            self.skip(_BLANK)
        self.position += 1

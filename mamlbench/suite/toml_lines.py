"""On which line of a TOML document each key and each element of an array stands; ``tomllib`` does not tell.

The document was parsed before, so it is well-formed, and only what separates its parts has to be found: a walk over
keys, strings, brackets and comments.
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
    return _Walk(text).lines


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}  # arrays of tables: how many there are so far
        table: Path = ()
        self.skip(_BLANK)
        while self.at < len(text):
            if text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, f"not TOML at line {self.line()}"
        self.at = match.end()
        return match.group()

    def line(self) -> int:
        return bisect_right(self.starts, self.at)

    def found(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):  # a.b.c = 1 makes the tables a and a.b as well
            self.lines.setdefault(path[:length], line)

    def header(self) -> Path:
        line = self.line()
        is_array = self.text.startswith("[[", self.at)
        self.at += 1 + is_array
        path: Path = ()
        keys = self.key()
        for number, key in enumerate(keys, 1):
            path += (key,)
            if is_array and number == len(keys):
                self.tables[path] = self.tables.get(path, 0) + 1
            if path in self.tables:  # what follows belongs to its last table
                path += (self.tables[path] - 1,)
        self.found(path, line)
        self.at += 1 + is_array
        return path

    def key(self) -> tuple[str, ...]:
        """A dotted key, with the space around it."""
        parts = []
        while True:
            self.skip(_SPACE)
            if self.text[self.at] in "\"'":
                parts.append(tomllib.loads(f"key = {self.skip(_STRING)}")["key"])
            else:
                parts.append(self.skip(_BARE))
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def pair(self, table: Path) -> None:
        line = self.line()
        path = table + self.key()
        self.found(path, line)
        self.at += 1  # =
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        opening = self.text[self.at]
        if opening in "\"'":
            self.skip(_STRING)
        elif opening == "[":
            self.array(path)
        elif opening == "{":
            self.inline_table(path)
        else:
            self.skip(_ATOM)

    def array(self, path: Path) -> None:
        self.at += 1
        self.skip(_BLANK)
        number = 0
        while self.text[self.at] != "]":
            element = (*path, number)
            self.found(element, self.line())
            self.value(element)
            self.skip(_BLANK)
            number += 1
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        self.skip(_BLANK)
        while self.text[self.at] != "}":
            self.pair(path)
            self.skip(_BLANK)
        self.at += 1

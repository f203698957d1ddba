"""Text for consoles whose encoding lacks characters: each is replaced by a similar one that it has."""

from __future__ import annotations

import codecs
import re
import unicodedata

ERRORS = "mamlbench.plain"
"""Name of the error handler, for ``str.encode`` and ``io.TextIOWrapper``."""

SIMILAR = {
    **dict.fromkeys("─━╌╴╶╸╺–—‐‑═", "-"),
    **dict.fromkeys("│┃║╎", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰╇╈", "+"),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏•·", "*"),
    "±": "+-",
    "→": "->",
    "←": "<-",
    "∇": "grad ",
    "∈": "in",
    "∑": "sum",
    "√": "sqrt",
    "−": "-",
    "⋅": "*",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "×": "x",
    "…": "...",
    "†": "+",
    "‡": "#",
    "✓": "ok",
    "✗": "x",
    "µ": "u",
    "∞": "inf",
}


GREEK = re.compile(r"GREEK (?:SMALL|CAPITAL) LETTER (\w+)")
"""Names of letters, which formulas have."""


def plain(text: str) -> str:
    """Return text in ASCII: similar characters, letters without their accents, and '?' for what is like nothing."""
    return "".join(map(_plain, text))


def _plain(character: str) -> str:
    if character.isascii():
        return character
    if character in SIMILAR:
        return SIMILAR[character]
    greek = GREEK.match(unicodedata.name(character, ""))
    if greek is not None:
        return greek[1].lower() if "SMALL" in greek[0] else greek[1].capitalize()
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


codecs.register_error(ERRORS, _replace)

"""Formatting numbers and untrusted text for display."""

from __future__ import annotations

import math
import unicodedata


def number(value: float) -> str:
    """Format with three significant digits, and integers with thousands separators: 0.312, 18.6, 460, 192,000."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or abs(value) >= 1e15 or abs(value) < 1e-4:
        return f"{value:.3g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(digits, 0), 6)}f}" if not float(value).is_integer() else f"{value:,.0f}"


def percent_or_number(value: float, percent: bool) -> str:
    """Format a fraction as percent with one decimal if ``percent``, otherwise as a number."""
    return f"{100 * value:.1f}" if percent and math.isfinite(value) else number(value)


def with_half_width(
    mean: float, half: float, percent: bool, *, signed: bool = False, new_classes: float | None = None
) -> str:
    """Format as ``97.2 ± 0.4``, with decimals according to the half-width; the mean alone if it is not finite.

    The half-width for new classes, if there is one, follows in parentheses: ``97.2 ± 0.4 (0.9)``.
    """
    plus = "+" if signed else ""
    if not (math.isfinite(mean) and math.isfinite(half)):
        return number(mean)
    if percent:
        mean, half = 100 * mean, 100 * half
        decimals = 1 if half >= 0.1 or half == 0 else 2
    else:
        decimals = 2 if half == 0 else min(max(1 - math.floor(math.log10(float(f"{half:.1e}"))), 0), 6)
    text = f"{mean:{plus},.{decimals}f} ± {half:,.{decimals}f}"
    if new_classes is None or not math.isfinite(new_classes):
        return text
    return f"{text} ({100 * new_classes if percent else new_classes:,.{decimals}f})"


def printable(text: str) -> str:
    """Replace characters that could move a terminal's cursor, hide or reverse text; records may be untrusted."""
    if text.isprintable():  # fast path: nearly all text contains none of these characters
        return text
    return "".join(
        " " if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029" else character
        for character in text
    )

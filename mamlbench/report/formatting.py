"""Numbers and foreign text as people read them."""

from __future__ import annotations

import math
import unicodedata


def number(value: float) -> str:
    """Three significant digits, whole thousands with separators: 0.312, 18.6, 460, 192,000."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or abs(value) >= 1e15 or abs(value) < 1e-4:
        return f"{value:.3g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(digits, 0), 6)}f}" if not float(value).is_integer() else f"{value:,.0f}"


def percent_or_number(value: float, is_share: bool) -> str:
    """A fraction as percent with one decimal; anything else as a number."""
    return f"{100 * value:.1f}" if is_share and math.isfinite(value) else number(value)


def with_half_width(mean: float, half: float, is_share: bool, *, signed: bool = False) -> str:
    """``97.2 ± 0.4``: as many decimals as the half-width has use for; without it where there is none."""
    plus = "+" if signed else ""
    if not (math.isfinite(mean) and math.isfinite(half)):
        return number(mean)
    if is_share:
        mean, half = 100 * mean, 100 * half
        decimals = 1 if half >= 0.1 or half == 0 else 2
    else:
        decimals = 2 if half == 0 else min(max(1 - math.floor(math.log10(float(f"{half:.1e}"))), 0), 6)
    return f"{mean:{plus},.{decimals}f} ± {half:,.{decimals}f}"


def printable(text: str) -> str:
    """Replace what could move a terminal's cursor, hide or reverse text; names and reasons come from strangers."""
    if text.isprintable():  # nearly all text is: nothing of these categories is in it
        return text
    return "".join(" " if unicodedata.category(each)[0] == "C" or each in "\u2028\u2029" else each for each in text)

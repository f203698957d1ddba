"""Styles of rows. Of the first eight, color, line and marker all differ: any one of the three identifies a row."""

from __future__ import annotations

from typing import Any, NamedTuple


class Style(NamedTuple):
    """The style of one row, for matplotlib and as SVG for the legend of a page."""

    color: str
    line: Any
    marker: str
    hatch: str
    dashes: str
    """The line as an SVG dash array."""
    outline: str
    """The marker as an SVG path around the origin, about 8 units wide."""


_FIRST = (
    Style("#0072B2", "-", "o", "", "", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"),
    Style("#D55E00", "--", "s", "////", "6 3", "M-3.5-3.5h7v7h-7z"),
    Style("#009E73", "-.", "^", "....", "7 2 1.5 2", "M0-4.5L4.5 3.5h-9z"),
    Style("#CC79A7", ":", "D", "xxxx", "1.5 2", "M0-4.8L4.8 0L0 4.8L-4.8 0z"),
    Style("#56B4E9", (0, (5, 1)), "v", "----", "5 1", "M0 4.5L4.5-3.5h-9z"),
    Style("#E69F00", (0, (3, 1, 1, 1, 1, 1)), "P", "\\\\\\\\", "3 1 1 1 1 1", "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z"),
    Style(
        "#808080",
        (0, (1, 1)),
        "X",
        "++++",
        "1 1",
        "M-4.5-2.5l2-2L0-2l2.5-2.5l2 2L2 0l2.5 2.5l-2 2L0 2l-2.5 2.5l-2-2L-2 0z",
    ),
    Style(
        "#A0522D",
        (0, (8, 2)),
        "*",
        "oooo",
        "8 2",
        "M0-5l1.3 3.4l3.6.1l-2.9 2.2l1 3.5L0 2.1l-3 2.1l1-3.5l-2.9-2.2l3.6-.1z",
    ),
)
"""Okabe and Ito's colors, with gray and brown in place of yellow and black, which a white or dark page hides."""


def _again(lines: int, markers: int) -> tuple[Style, ...]:
    """The first colors with other lines and markers: those so many places further on."""
    number = len(_FIRST)
    return tuple(
        style._replace(
            line=_FIRST[(index + lines) % number].line,
            dashes=_FIRST[(index + lines) % number].dashes,
            marker=_FIRST[(index + markers) % number].marker,
            outline=_FIRST[(index + markers) % number].outline,
            hatch=_FIRST[(index + markers) % number].hatch,
        )
        for index, style in enumerate(_FIRST)
    )


STYLES = (*_FIRST, *_again(3, 5), *_again(5, 2))
"""Styles in the order of rows. After the eighth, color and marker identify a row together, as do color and line."""

SEGMENTS = {
    "data": ("#56B4E9", "\\\\\\\\"),
    "train": ("#0072B2", ""),
    "evaluate": ("#E69F00", "///"),
    "checkpoint": ("#CC79A7", "||||"),
    "other": ("#B0B0B0", ""),
}
"""Color and hatch of each kind of work in a time breakdown."""

INK, RULE = "#333333", "#d5d5d5"


def settings(ink: str = INK, rule: str = RULE) -> Any:
    """Return settings for ``matplotlib.rc_context``; ``ink`` colors text and axes, ``rule`` the grid."""
    return {
        "font.size": 8.5,
        "font.family": ["sans-serif"],
        "text.color": ink,
        "axes.edgecolor": ink,
        "axes.labelcolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "hatch.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": rule,
        "grid.linewidth": 0.6,
        "axes.linewidth": 0.7,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "svg.fonttype": "none",  # text stays text: small, sharp and searchable
        "svg.hashsalt": "mamlbench",  # the same records give the same file
        "pdf.fonttype": 42,
        "text.parse_math": False,  # a dollar sign in a name does not start a formula
        "text.usetex": False,
    }

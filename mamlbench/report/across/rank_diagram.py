"""The critical-difference diagram (Demsar 2006): mean ranks on an axis, bars over methods that do not differ."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.rank_comparison import RankTests, rank_tests, too_few_cells
from mamlbench.report.figures.hover_points import note_point, noted_rows
from mamlbench.report.figures.style import STYLES
from mamlbench.report.figures.view import elide
from mamlbench.report.formatting import printable

_BAR, _LABEL = 0.5, 1.0
"""Heights of a bar and of a label, in lanes."""
_ABOVE = 1.6
"""Height above the axis, for its numbers and for the critical difference."""
_MARGIN = 0.3
"""Width beside the axis on either side, as a share of it, for labels."""


def diagram_lanes(scores: AcrossScores) -> int:
    """Return the height of the diagram in lanes."""
    bars = len(_levels(_bars(scores, rank_tests(scores))))
    return ceil(_ABOVE + _BAR * (bars + 1) + _LABEL * ceil(len(scores.methods) / 2))


def critical_difference_diagram(axes: Any, scores: AcrossScores) -> bool:
    """Draw the diagram: rank 1 on the left, each method's name at the end of its line."""
    tests, ranks, count = rank_tests(scores), scores.mean_ranks.tolist(), len(scores.methods)
    levels = _levels(_bars(scores, tests))
    width = max(count - 1, 1)
    left, right = 1 - _MARGIN * width, count + _MARGIN * width
    axes.set_xlim(left, right)
    axes.set_ylim(_BAR * (len(levels) + 1) + _LABEL * ceil(count / 2) + 0.2, -_ABOVE)
    axes.axis("off")
    ink = axes.xaxis.label.get_color()
    _draw_axis(axes, count, ink)
    if tests is not None:
        _draw_critical_difference(axes, tests.critical_difference, count, ink)
    if tests is not None and too_few_cells(scores):
        axes.text(right, -0.75, "too few cells for\nWilcoxon's test", ha="right", va="bottom", fontsize=7.5)
    for level, members in enumerate(levels):
        for group in members:
            of_group = [ranks[method] for method in group]
            y = _BAR * (level + 1)
            axes.plot([min(of_group), max(of_group)], [y, y], color=ink, linewidth=2.5, solid_capstyle="round")
            axes.plot(of_group, [y] * len(group), "o", color=ink, markersize=4)
    half = ceil(count / 2)
    first_label = _BAR * (len(levels) + 1)
    for method, rank in noted_rows(axes, ranks):
        on_left = method < half
        place = method if on_left else count - 1 - method  # the outermost on top, so that lines do not cross
        y = first_label + _LABEL * (place + 0.75)
        _draw_method(axes, scores, method, rank, end=(left if on_left else right, y))
        note_point(axes, method, rank, 0, {"mean rank": rank})
    return True


def _bars(scores: AcrossScores, tests: RankTests | None) -> list[tuple[float, float, tuple[int, ...]]]:
    """Return lowest rank, highest rank and members of each group of two or more."""
    ranks = scores.mean_ranks.tolist()
    groups = [group for group in tests.groups if len(group) > 1] if tests is not None else []
    return [(min(ranks[m] for m in group), max(ranks[m] for m in group), group) for group in groups]


def _levels(bars: Sequence[tuple[float, float, tuple[int, ...]]]) -> list[list[tuple[int, ...]]]:
    """Distribute bars over levels, so that those of one level do not touch."""
    levels: list[list[tuple[int, ...]]] = []
    ends: list[float] = []
    for low, high, group in sorted(bars):
        level = next((index for index, end in enumerate(ends) if end < low), len(levels))
        if level == len(levels):
            levels.append([])
            ends.append(high)
        levels[level].append(group)
        ends[level] = high
    return levels


def _draw_axis(axes: Any, count: int, ink: str) -> None:
    axes.plot([1, count], [0, 0], color=ink, linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, -0.15], color=ink, linewidth=1)
        axes.text(rank, -0.25, str(rank), ha="center", va="bottom", fontsize=8)
    axes.text(1 - 0.04 * count, 0, "better", ha="right", va="center", fontsize=7.5)


def _draw_critical_difference(axes: Any, difference: float, count: int, ink: str) -> None:
    y, end = -1.15, min(1 + difference, count)
    axes.plot([1, end], [y, y], color=ink, linewidth=1, marker="|", markersize=6)
    shown = "" if 1 + difference <= count else ", more than the axis"
    axes.text(1, y - 0.1, f"Nemenyi's critical difference {difference:.2f}{shown}", va="bottom", fontsize=7.5)


def _draw_method(axes: Any, scores: AcrossScores, method: int, rank: float, *, end: tuple[float, float]) -> None:
    x, y = end
    style = STYLES[method % len(STYLES)]
    axes.plot([rank, rank, x], [0, y, y], color=style.color, linewidth=1)
    axes.plot([rank], [0], style.marker, color=style.color, markeredgecolor="white", markersize=7, zorder=3)
    text = f"{elide(printable(str(scores.methods[method])), 26)}  {rank:.2f}"
    axes.text(x, y - 0.06, text, ha="left" if x < rank else "right", va="bottom", fontsize=8)

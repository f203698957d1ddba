"""A chart of a history: score and time of each configuration over commits, with a line at each change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mamlbench.errors import ConfigError
from mamlbench.report.figures.export import empty_figure, figure_bytes, figure_settings
from mamlbench.report.figures.style import STYLES
from mamlbench.report.figures.view import is_drawable
from mamlbench.report.formatting import printable
from mamlbench.report.gate.metrics import MACHINE_METRICS
from mamlbench.report.history.cell_history import CellHistory, SeriesName
from mamlbench.report.history.render_history import displayed, scale_of

WIDTH, HEIGHT = 9.0, 2.6
"""Inches of the two panels of a configuration."""
MAX_CELLS = 8
MAX_TICKS = 14
"""Commits that are named below an axis."""
_CHANGES = {"better": "#009E73", "worse": "#D55E00", "not comparable": "#808080"}


def draw_history(histories: Sequence[CellHistory], format_: str) -> bytes:
    """Draw scores (left) and device seconds (right) of each configuration, as 'png', 'pdf' or 'svg'.

    Raises ConfigError if there are too many configurations.
    """
    number = len(histories)
    if number > MAX_CELLS:
        raise ConfigError(f"One chart cannot show {number} configurations. Choose up to {MAX_CELLS} with --cell.")
    with figure_settings():
        figure = empty_figure(WIDTH, HEIGHT * len(histories))
        panels = figure.subplots(len(histories), 2, squeeze=False)
        for (scores, times), cell in zip(panels, histories, strict=True):
            _draw(scores, cell, [name for name in cell.series if name.mode])
            _draw(times, cell, [name for name in cell.series if name.metric == "device_seconds"])
            scores.set_title(f"{printable(cell.name)}  {cell.identifier}", fontsize=8.5, loc="left")
        return figure_bytes(figure, format_)


def _draw(axes: Any, cell: CellHistory, names: Sequence[SeriesName]) -> None:
    for name, style in zip(names, STYLES, strict=False):
        label = name.mode or None
        for part in _parts(cell, name):
            x, y, half = zip(*part, strict=True)
            looks = {"color": style.color, "linestyle": style.line, "marker": style.marker}
            axes.errorbar(x, y, yerr=half, capsize=2, elinewidth=0.9, label=label, **looks)
            label = None  # once in the legend
        for index, point in enumerate(cell.points):
            if name in point.changes:
                axes.axvline(index, color=_CHANGES[point.changes[name].kind], linewidth=1.2, alpha=0.6, zorder=0)
    _label(axes, cell, names)


def _parts(cell: CellHistory, name: SeriesName) -> list[list[tuple[int, float, float]]]:
    """Index, value and half-width of each point, in parts within which the values are comparable."""
    parts: list[list[tuple[int, float, float]]] = [[]]
    for index, point in enumerate(cell.points):
        value = point.values.get(name)
        if value is None or not is_drawable(value.mean):
            continue
        change = point.changes.get(name)
        if change is not None and change.kind == "not comparable":
            parts.append([])
        mean, half = displayed(name, point, value)
        parts[-1].append((index, mean, half if half is not None and is_drawable(half) else 0.0))
    return [part for part in parts if part]


def _label(axes: Any, cell: CellHistory, names: Sequence[SeriesName]) -> None:
    stride = -(-len(cell.points) // MAX_TICKS)
    ticks = range(0, len(cell.points), stride)
    axes.set_xticks(ticks, [cell.points[index].commit.short for index in ticks], rotation=45, ha="right", fontsize=6.5)
    axes.set_xlim(-0.5, len(cell.points) - 0.5)
    if not names:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
        return
    name = names[0]
    percent = ", %" if name.metric not in MACHINE_METRICS and scale_of(name, cell.points[-1]) == 100 else ""
    axes.set_ylabel("device seconds" if name.metric == "device_seconds" else printable(f"{name.metric}{percent}"))
    if len(names) > 1:
        axes.legend(fontsize=7)

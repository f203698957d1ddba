"""The figure of studies: the expected best score of n trials, a curve for each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mamlbench.errors import ConfigError
from mamlbench.report.figures.export import LEGEND_LINE, WIDTH, empty_figure, figure_bytes, figure_settings
from mamlbench.report.figures.hover_points import note_point, noted_rows
from mamlbench.report.figures.style import STYLES
from mamlbench.report.formatting import printable
from mamlbench.report.tuning.study_result import StudyResult, ranked
from mamlbench.report.tuning.tuning_tables import study_title


def draw_best_of(axes: Any, results: Sequence[StudyResult]) -> bool:
    """Draw the curve of each result, the best first; return whether there was one."""
    from matplotlib.ticker import MaxNLocator

    scale = 100.0 if results[0].default.unit == "%" else 1.0
    for index, result in noted_rows(axes, ranked(results)):
        if result.curve is None:
            continue
        style = STYLES[index % len(STYLES)]
        n = range(1, len(result.curve.mean) + 1)
        looks = {"color": style.color, "linestyle": style.line, "marker": style.marker, "markevery": (index % 4, 4)}
        axes.plot(n, scale * result.curve.mean, label=printable(result.name), **looks)
        for trials, score in zip(n, scale * result.curve.mean, strict=True):
            note_point(axes, index, trials, score, {"trials": trials, "expected best": float(score)})
    metric, unit = results[0].default.metric, results[0].default.unit
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trials n (1: the default options)")
    axes.set_ylabel(printable(f"expected best validation {metric}, {unit}" if unit else f"expected best {metric}"))
    return bool(axes.lines)


def save_best_of(results: Sequence[StudyResult], format_: str) -> bytes:
    """Draw the figure as 'png', 'pdf' or 'svg'. Raises ConfigError if there is nothing to draw."""
    with figure_settings():
        figure = empty_figure(WIDTH + 2.3, max(3.6, 0.9 + LEGEND_LINE * len(results)))
        figure.suptitle(printable(study_title(results)), fontsize=9)
        if not draw_best_of(figure.subplots(), results):
            raise ConfigError("No trial of these studies has a score to draw.")
        figure.legend(loc="outside right center")
        return figure_bytes(figure, format_)

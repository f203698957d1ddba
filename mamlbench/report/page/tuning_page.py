"""A self-contained HTML page of studies: the curve and the tables of ``mamlbench tune``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mamlbench.report.formatting import printable
from mamlbench.report.page import page_environment
from mamlbench.report.page.drawings import Drawing, make_plot
from mamlbench.report.tuning.best_of_figure import draw_best_of
from mamlbench.report.tuning.study_result import StudyResult, ranked
from mamlbench.report.tuning.tuning_tables import study_title, tuning_tables

ABOUT = "Expected best validation score of the default options and n - 1 drawn ones."


def render_tuning_page(results: Sequence[StudyResult]) -> str:
    """Render the page of studies that have the same data set, protocol and budget, and one trial or more each."""
    from mamlbench import __version__

    def draw(axes: Any) -> bool:
        drawn = draw_best_of(axes, results)
        if drawn:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)
        return drawn

    plot = make_plot("Best of n trials", 3.0, draw, [printable(result.name) for result in ranked(results)])
    drawings = [Drawing("best-of", "Best of n trials", ABOUT, [plot])] if plot else []
    return (
        page_environment()
        .get_template("tuning.html")
        .render(
            title=f"Tuning, {study_title(results)}",
            drawings=drawings,
            tables=tuning_tables(results),
            version=__version__,
        )
    )

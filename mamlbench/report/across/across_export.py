"""Exporting the figures of a comparison across cells: PNG, PDF or SVG files."""

from __future__ import annotations

from mamlbench.errors import ConfigError
from mamlbench.report.across.across_panels import PANELS, labels_and_styles
from mamlbench.report.across.bayesian_table import no_posterior
from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.table_parts import plural
from mamlbench.report.figures.export import (
    LEGEND_LINE,
    MAX_LABEL_LENGTH,
    WIDTH,
    empty_figure,
    figure_bytes,
    figure_settings,
    legend_columns,
)
from mamlbench.report.figures.view import elide

FILE_WIDTH = WIDTH + 1.3
"""Width of a single figure in inches."""


def save_across_figure(name: str, scores: AcrossScores, format_: str) -> bytes:
    """Draw one figure as 'png', 'pdf' or 'svg'.

    Args:
        name: key of ``PANELS``.
        scores: of all methods on all cells.
        format_: of the file.

    Raises ConfigError, with the reason, if there are too few cells to draw anything.
    """
    panel = PANELS[name]
    with figure_settings():
        names = [] if panel.lanes else labels_and_styles(scores)
        columns = legend_columns([label for label, _ in names], FILE_WIDTH)
        figure = empty_figure(FILE_WIDTH, panel.height(scores) + 0.5 + 0.22 + LEGEND_LINE * -(-len(names) // columns))
        cells = f"{plural(len(scores.cells), 'cell')} of {plural(len(scores.datasets), 'data set')}"
        left_out = "" if panel.lanes or len(names) == len(scores.methods) else f", the first {len(names)} methods"
        figure.suptitle(f"{panel.title}, {cells}{left_out}", fontsize=9)
        if not panel.draw(figure.subplots(), scores):
            raise ConfigError(no_posterior(scores.on_one_scale))
        if panel.lanes is None:
            from matplotlib.lines import Line2D

            handles = [
                Line2D([], [], color=style.color, linestyle=style.line, label=elide(label, MAX_LABEL_LENGTH))
                for label, style in names
            ]
            figure.legend(handles=handles, loc="outside lower center", ncols=columns)
        return figure_bytes(figure, format_)

"""The section of the page that compares methods across data sets and protocols."""

from __future__ import annotations

from dataclasses import dataclass

from mamlbench.report.across import AcrossScores
from mamlbench.report.across.across_panels import PANELS, AcrossPanel, labels_and_styles
from mamlbench.report.across.all_tables import across_tables
from mamlbench.report.across.table_parts import plural
from mamlbench.report.figures.style import Style
from mamlbench.report.formatting import printable
from mamlbench.report.page.drawings import Drawing, make_plot
from mamlbench.report.table.table import Table


@dataclass(frozen=True)
class AcrossSection:
    """All statistics, with the colors of the methods in figures."""

    title: str
    legend: list[tuple[str, Style]]
    drawings: list[Drawing]
    tables: list[Table]
    remarks: list[str]
    """What figures omit, and why."""


def make_across_section(scores: AcrossScores) -> AcrossSection:
    """Make the figures and tables of all statistics."""
    counts = f"{plural(len(scores.methods), 'method')} on {plural(len(scores.cells), 'cell')}"
    drawings = [drawing for name, panel in PANELS.items() if (drawing := _drawing(name, panel, scores)) is not None]
    legend = labels_and_styles(scores)
    hidden = len(scores.methods) - len(legend)
    remarks = [f"The performance profile shows the best {len(legend)} methods only."] if hidden else []
    return AcrossSection(f"Across data sets: {counts}", legend, drawings, across_tables(scores), remarks)


def _drawing(name: str, panel: AcrossPanel, scores: AcrossScores) -> Drawing | None:
    keys = [printable(str(method)) for method in scores.methods]
    plot = make_plot(panel.title, panel.height(scores), lambda axes: panel.draw(axes, scores), keys)
    return Drawing(name, panel.title, panel.about, [plot]) if plot else None

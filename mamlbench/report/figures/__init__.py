"""Figures of comparable runs: data, style, and export to files. matplotlib is imported lazily."""

from mamlbench.report.figures.panels import FIGURES, Panel
from mamlbench.report.figures.view import MAX_ROWS, View, view_of

__all__ = ["FIGURES", "MAX_ROWS", "Panel", "View", "view_of"]

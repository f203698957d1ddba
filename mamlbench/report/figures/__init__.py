"""Figures of runs that may be compared: what is shown, how it looks, and the files it goes to. matplotlib is lazy."""

from mamlbench.report.figures.panels import FIGURES, Panel
from mamlbench.report.figures.view import MOST_ROWS, View, view_of

__all__ = ["FIGURES", "MOST_ROWS", "Panel", "View", "view_of"]

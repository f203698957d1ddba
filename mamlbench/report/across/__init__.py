"""Comparing methods across cells: data sets, protocols and modes (``mamlbench report --across``)."""

from mamlbench.report.across.complete_scores import AcrossScores, collect_scores

__all__ = ["AcrossScores", "collect_scores"]

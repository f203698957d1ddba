"""All tables of a comparison across cells, in the order of the report."""

from __future__ import annotations

from mamlbench.report.across.aggregate_tables import improvement_table, interquartile_mean_table, profile_table
from mamlbench.report.across.bayesian_table import bayesian_table
from mamlbench.report.across.complete_scores import AcrossScores
from mamlbench.report.across.rank_tables import rank_tables
from mamlbench.report.table.table import Table


def across_tables(scores: AcrossScores) -> list[Table]:
    """Build one table per statistic."""
    aggregated = [interquartile_mean_table(scores), profile_table(scores), improvement_table(scores)]
    return [*aggregated, *rank_tables(scores), bayesian_table(scores)]

"""``mamlbench report --across``: options, tables and figures across data sets and protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mamlbench.errors import ConfigError
from mamlbench.run_spec.protocol import MODES

if TYPE_CHECKING:
    from mamlbench.record import RunRecord
    from mamlbench.report.table.table import Table

FIGURES = ("iqm", "profiles", "improvement")
"""Figures that ``--across`` draws, beside those of single tables."""

across_option = click.option(
    "--across",
    is_flag=True,
    help="Compare methods across data sets and protocols: interquartile mean, performance profiles, probability of "
    "improvement.",
)
mode_option = click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(MODES),
    help="With --across: a mode whose scores are compared, each one on cells of its own; may be repeated.  [default: "
    "the first of each table]",
)


def check_options(
    figure: str | None, format_: str, modes: Sequence[str], columns: Sequence[str], sort: str | None, *, across: bool
) -> None:
    """Raise ConfigError for options that ``--across`` needs or does not take."""
    if not across and figure in FIGURES:
        raise ConfigError(f"The figure '{figure}' compares methods across data sets. Add --across.")
    if not across and modes:
        raise ConfigError("--mode is for comparisons across data sets. Add --across.")
    if across and figure is not None and figure not in FIGURES:
        raise ConfigError(f"The figure '{figure}' is of single tables. With --across: {', '.join(FIGURES)}.")
    if across and format_ == "html":
        raise ConfigError(
            "--across is not part of the page. Choose another --format: table, md, latex, csv, json, svg."
        )
    if across and (columns or sort):
        raise ConfigError("--columns and --sort are for the tables of single data sets, which --across does not show.")


def across_content(
    records: Sequence[RunRecord], figure: str | None, format_: str, metric: str | None, modes: Sequence[str]
) -> bytes | list[Table]:
    """Return one figure as a file, or the tables of all statistics.

    Raises ConfigError if there are too few methods or cells.
    """
    from mamlbench.report.across import collect_scores

    scores = collect_scores(records, metric, modes)
    if figure is None:
        from mamlbench.report.across.all_tables import across_tables

        return across_tables(scores)
    from mamlbench.report.across.across_export import save_across_figure

    return save_across_figure(figure, scores, format_)

"""``mamlbench report --across``: options, tables and figures across data sets and protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mamlbench.cli.protocol_options import HalfWidth
from mamlbench.errors import ConfigError
from mamlbench.run_spec.protocol import TEST_MODES

if TYPE_CHECKING:
    from mamlbench.record import RunRecord
    from mamlbench.report.across import AcrossScores
    from mamlbench.report.table.table import Table

FIGURES = ("iqm", "profiles", "improvement", "ranks", "bayes")
"""Figures that ``--across`` draws, beside those of single tables."""

across_option = click.option(
    "--across",
    is_flag=True,
    help="Compare methods across data sets and protocols: interquartile mean, performance profiles, probability of "
    "improvement, mean ranks, Bayesian comparison.",
)
mode_option = click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(TEST_MODES),
    help="With --across: a mode whose scores are compared, each one on cells of its own; may be repeated.  [default: "
    "the first of each table]",
)


class PracticalDifference(HalfWidth):
    """A difference as a fraction: ``1pp`` and ``1%`` are 0.01; a plain number stays as it is."""

    name = "practical difference"


rope_option = click.option(
    "--rope",
    type=PracticalDifference(),
    metavar="DIFFERENCE",
    help="With --across: region of practical equivalence. Smaller differences are no practical ones.  [default: 1pp "
    "for percentages]",
)


def check_options(
    figure: str | None,
    format_: str,
    across_settings: Sequence[object],
    table_settings: Sequence[object],
    *,
    across: bool,
) -> None:
    """Raise ConfigError for options that ``--across`` needs or does not take.

    Args:
        figure: to draw.
        format_: of the output.
        across_settings: values of options that need ``--across``.
        table_settings: values of options that it does not take.
        across: whether it is given.
    """
    if not across and figure in FIGURES:
        raise ConfigError(f"The figure '{figure}' compares methods across data sets. Add --across.")
    if not across and any(across_settings):
        raise ConfigError("--mode and --rope are for comparisons across data sets. Add --across.")
    if across and figure is not None and figure not in FIGURES:
        raise ConfigError(f"The figure '{figure}' is of single tables. With --across: {', '.join(FIGURES)}.")
    if across and any(table_settings) and format_ != "html":
        raise ConfigError(
            "--columns and --sort are for tables of single data sets. With --across only the page has them."
        )


def across_scores(
    records: Sequence[RunRecord], metric: str | None, modes: Sequence[str], rope: float | None
) -> AcrossScores:
    """Collect the scores that are compared. Raises ConfigError if there are too few methods or cells."""
    from mamlbench.report.across import collect_scores

    return collect_scores(records, metric, modes, rope)


def across_content(scores: AcrossScores, figure: str | None, format_: str) -> bytes | list[Table]:
    """Return one figure as a file, or the tables of all statistics."""
    if figure is None:
        from mamlbench.report.across.all_tables import across_tables

        return across_tables(scores)
    from mamlbench.report.across.across_export import save_across_figure

    return save_across_figure(figure, scores, format_)

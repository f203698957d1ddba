"""``mamlbench history``: score and time over commits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.cli.table_output import write_content
from mamlbench.errors import ConfigError, NothingToDoError
from mamlbench.run_spec.bounds import MOST

if TYPE_CHECKING:
    from mamlbench.report.history.cell_history import CellHistory

FIGURES = ("png", "pdf", "svg")

EPILOG = """\b
Examples:
  mamlbench history results/reference                every commit that changed its records
  mamlbench history results/reference --last 20 --cell reptile
  mamlbench history results/reference --format json
  mamlbench history results/reference --format svg --output history.svg

\b
Exit codes: 0 shown, 4 usage, 5 no commit has records."""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[FOLDER]")
@click.option("--revision", default="HEAD", show_default=True, help="Last commit of the history.")
@click.option("--last", type=click.IntRange(1, MOST), metavar="N", help="Only the last N commits that changed records.")
@click.option(
    "--cell",
    "cells",
    multiple=True,
    metavar="TEXT",
    help="Only configurations whose identifier begins so, or whose name contains it; may be repeated.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "json", *FIGURES)),
    default="table",
    show_default=True,
    help="Output; png, pdf and svg are a chart.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@shared.quiet
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    folder: Path | None,
    revision: str,
    last: int | None,
    cells: tuple[str, ...],
    format_: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """Show score, time and memory of each configuration over the commits that changed the records in FOLDER.

    FOLDER is the results folder by default. A commit at which a score, time or memory changed is marked: each is
    compared with the first one since the last change, over shared test episodes and training seeds, times on equal
    machines only.
    """
    if format_ in ("png", "pdf") and output is None:
        raise ConfigError(f"The format '{format_}' is binary. Name a file with --output.")

    from mamlbench.progress.preparation import counted
    from mamlbench.report.history.cell_history import cell_histories
    from mamlbench.report.history.committed_records import CommittedRecords
    from mamlbench.report.history.render_history import to_json

    results = folder or session_of(context).config.results_dir or Path("results")
    committed = CommittedRecords.find(results, revision, last)
    with counted("Reading commits", len(committed.commits), quiet=quiet) as (advance, _):
        histories = cell_histories(committed.read(advance), cells)
    for problem in committed.problems:
        click.echo(f"Skipped: {problem}", err=True)
    if not histories:
        what = f"a configuration called {', '.join(map(repr, cells))}" if cells else "a record"
        raise NothingToDoError(f"No commit has {what} in '{committed.folder}'.")
    if format_ == "json":
        write_content(to_json(histories, committed.problems), output)
    elif format_ in FIGURES:
        from mamlbench.report.history.history_chart import draw_history

        write_content(draw_history(histories, format_), output)
    else:
        _show(histories, output)


def _show(histories: list[CellHistory], output: Path | None) -> None:
    from rich.console import Console

    from mamlbench.progress.console import PIPE_WIDTH, console
    from mamlbench.report.history.render_history import to_terminal

    if output is None:
        out = console()
        out.print(to_terminal(histories, out.width))
        return
    out = Console(width=PIPE_WIDTH, color_system=None, emoji=False)
    with out.capture() as captured:
        out.print(to_terminal(histories, PIPE_WIDTH))
    write_content(captured.get(), output)

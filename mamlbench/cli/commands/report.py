"""``mamlbench report``: show recorded runs as tables, figures or a page."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import across_report
from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.cli.shown_columns import shown_columns
from mamlbench.cli.table_output import show_tables, write_content
from mamlbench.errors import ConfigError, ExitCode, NothingToDoError

if TYPE_CHECKING:
    from mamlbench.cli.session import Session
    from mamlbench.record import RunRecord
    from mamlbench.report import Table

TRACKER_FORMATS = ("benchmark-json", "benchmark-json-bigger", "bencher-json")
FORMATS = ("table", "md", "latex", "csv", "json", "svg", "html", "png", "pdf", *TRACKER_FORMATS)
FIGURES = ("curves", "pareto", "steps", "distribution", "seeds", "time")
FIGURE_FORMATS = ("png", "pdf", "svg")

EPILOG = """\b
Examples:
  mamlbench report                                   the results folder
  mamlbench report results/omniglot-*.json --columns all
  mamlbench report --published                       published numbers below each table, with what differs
  mamlbench report --columns default,macro_f1        another metric beside the first, if the runs report it
  mamlbench report --metric "macro F1" --figure curves --format png --output curves.png
  mamlbench report --plugin mine.py --columns score,cost --sort cost
  mamlbench report --format latex --output table.tex
  mamlbench report --format html --output page.html  tables, figures, sample episodes, settings
  mamlbench report --format html --title "Omniglot, spring" --output page.html
  mamlbench report --figure pareto --format pdf --output pareto.pdf
  mamlbench report --tuned                           default and tuned options beside each other
  mamlbench report --across                          methods compared across data sets and protocols
  mamlbench report --across --figure profiles --format svg --output profiles.svg
  mamlbench report --across --format html --output page.html
  mamlbench report --format bencher-json             for a benchmark tracker, by identifiers that stay the same"""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("paths", nargs=-1, type=shared.RecordPath())
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Output; the last three are for "
    "benchmark trackers: github-action-benchmark (accuracies as errors, or scores only) and Bencher.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option(
    "--figure",
    type=click.Choice((*FIGURES, *across_report.FIGURES)),
    help="Draw one figure (png, pdf or svg) instead of tables.",
)
@click.option("--title", default="", help="Title of the page.")
@click.option("--private", is_flag=True, help="Show images on the page even if their license forbids publishing.")
@click.option(
    "--columns",
    multiple=True,
    help="A column to show; 'default', 'all', or 'paper' for the few that fit a column of print (the default of "
    "--format latex); repeat or separate by commas.",
)
@click.option(
    "--metric",
    type=shared.Registered("metric"),
    help="Metric of tables and figures, if runs report several.  [default: the first, which selects checkpoints]",
)
@click.option("--sort", help="Column to sort by, best first.  [default: the first score]")
@click.option(
    "--notes",
    is_flag=True,
    help="Show every default column of a table in the terminal, and explain all columns and signs below it.",
)
@click.option(
    "--tuned",
    is_flag=True,
    help="Show test scores with default options and with those that 'mamlbench tune' chose, beside each other.",
)
@click.option(
    "--published", is_flag=True, help="Add a table of published numbers to each table, with what differs cell by cell."
)
@across_report.across_option
@across_report.mode_option
@across_report.rope_option
@shared.plugin_files
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    paths: tuple[Path, ...],
    format_: str,
    output: Path | None,
    figure: str | None,
    title: str,
    private: bool,
    columns: tuple[str, ...],
    metric: str | None,
    sort: str | None,
    notes: bool,
    tuned: bool,
    published: bool,
    across: bool,
    modes: tuple[str, ...],
    rope: float | None,
) -> ExitCode:
    """Show recorded runs (files or folders; by default the results folder) as comparison tables.

    Each table contains runs with comparable scores. A row combines the seeds of an algorithm. Files that are not
    records are reported and skipped. The format html makes a self-contained page with tables, figures,
    sample episodes and the settings of every run. --across compares methods across all tables.
    """
    _check(format_, figure, output, {"--private": private, "--title": title})
    if format_ in TRACKER_FORMATS and (columns or sort or metric or published or across):
        raise ConfigError(f"The format '{format_}' has every metric: leave out options of tables and --across.")
    _check_tuned(format_, (figure, columns, sort, across, published), tuned=tuned)
    if published and (figure is not None or across or format_ == "html"):
        raise ConfigError("--published adds tables to tables: leave out --figure, --across and --format html.")
    across_report.check_options(figure, format_, (modes, rope), (columns, sort), across=across)
    from mamlbench.report import build_tables, read_records

    folder = session_of(context).config.results_dir or Path("results")
    loaded = read_records(paths or ([folder] if folder.exists() else []))
    gc.freeze()  # the records are needed to the end, and scanning them for garbage takes longer than the tables
    for problem in loaded.problems:
        click.echo(f"Skipped: {problem}", err=True)
    if not loaded.records:
        raise NothingToDoError("There is no record to report. 'mamlbench run' writes one.")
    if tuned:
        from mamlbench.report.tuning.tuned_tables import tuned_tables

        show_tables(tuned_tables(loaded.records, metric), format_, output)
        return ExitCode.OK
    scores = across_report.across_scores(loaded.records, metric, modes, rope) if across else None
    if scores is not None and format_ != "html":
        content = across_report.across_content(scores, figure, format_)
        write_content(content, output) if isinstance(content, bytes) else show_tables(content, format_, output)
        return ExitCode.OK
    if format_ in TRACKER_FORMATS:
        from mamlbench.report.gate import benchmark_json

        write_content(benchmark_json.TRACKER_FORMATS[format_](loaded.records), output)
        return ExitCode.OK
    if figure is not None:
        write_content(_figure(figure, loaded.records, format_, metric), output)
        return ExitCode.OK
    names_shown = columns or (("paper",) if format_ == "latex" else ())
    names, plugin_columns = shown_columns(session_of(context), names_shown, sort, loaded.records)
    if format_ == "html":
        from mamlbench.cli.missing_packages import warn_without_figures
        from mamlbench.report.page import render_page

        warn_without_figures()

        page = partial(render_page, loaded.records, loaded.files, problems=loaded.problems, private=private)
        write_content(
            page(columns=names, sort=sort, plugin_columns=plugin_columns, metric=metric, across=scores, title=title),
            output,
        )
        return ExitCode.OK
    tables = build_tables(loaded.records, names, sort, plugin_columns, metric)
    if published:
        tables = _with_published(session_of(context), tables, loaded.records, metric)
    show_tables(tables, format_, output, brief=not (notes or columns or published))
    return ExitCode.OK


def _with_published(
    session: Session, tables: Sequence[Table], records: Sequence[RunRecord], metric: str | None
) -> list[Table]:
    from mamlbench.cli.commands.published import published_numbers
    from mamlbench.cli.published_tiers import with_tiers_of_records
    from mamlbench.report.table.groups import group_records
    from mamlbench.report.table.published_rows import with_published_tables

    plugins = session.plugins_with_errors()
    numbers = with_tiers_of_records(published_numbers(plugins), plugins, records)
    return with_published_tables(tables, group_records(records, metric), numbers)


def _check(format_: str, figure: str | None, output: Path | None, of_page: Mapping[str, object]) -> None:
    """Raise ConfigError for options that cannot be combined."""
    if figure is not None and format_ not in FIGURE_FORMATS:
        raise ConfigError(
            f"--figure writes {', '.join(FIGURE_FORMATS)}, not '{format_}'. Choose one of them with --format."
        )
    if figure is None and format_ in ("png", "pdf"):
        raise ConfigError(
            f"The format '{format_}' is for single figures. Add --figure with one of {', '.join(FIGURES)}."
        )
    if format_ in ("png", "pdf") and output is None:
        raise ConfigError(f"The format '{format_}' is binary. Name a file with --output.")
    for option, value in of_page.items():
        if value and format_ != "html":
            raise ConfigError(f"{option} is for a page, and requires --format html.")


def _check_tuned(format_: str, others: Sequence[object], *, tuned: bool) -> None:
    """Raise ConfigError for options and formats that ``--tuned`` does not take."""
    if tuned and any(others):
        raise ConfigError(
            "--tuned is a table of its own: leave out --figure, --columns, --sort, --across and --published."
        )
    if tuned and format_ in ("html", "png", "pdf", *TRACKER_FORMATS):
        raise ConfigError(f"--tuned writes tables, not '{format_}'. Choose table, md, latex, csv, json or svg.")


def _figure(name: str, records: Sequence[RunRecord], format_: str, metric: str | None) -> bytes:
    from mamlbench.report.figures.export import save_figure
    from mamlbench.report.table.groups import group_records

    return save_figure(name, group_records(records, metric), format_)

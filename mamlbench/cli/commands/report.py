"""``mamlbench report``: recorded runs as comparison tables."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, ExitCode, NothingToDoError

if TYPE_CHECKING:
    from mamlbench.cli.session import Session
    from mamlbench.plugin import ReportColumn
    from mamlbench.record import RunRecord

FORMATS = ("table", "md", "latex", "csv", "json", "svg", "html", "png", "pdf")
FIGURES = ("curves", "pareto", "steps", "distribution", "seeds", "time")
OF_FIGURES = ("png", "pdf", "svg")

EPILOG = """\b
Examples:
  mamlbench report                                   the results folder
  mamlbench report results/omniglot-*.json --columns all
  mamlbench report --columns default,macro_f1        another metric beside the first, if the runs report it
  mamlbench report --metric "macro F1" --figure curves --format png --output curves.png
  mamlbench report --plugin mine.py --columns score,cost --sort cost
  mamlbench report --format latex --output table.tex
  mamlbench report --format html --output page.html  tables, figures, sample episodes, settings
  mamlbench report --figure pareto --format pdf --output pareto.pdf"""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, type=shared.RecordPath())
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="Output.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead.")
@click.option("--figure", type=click.Choice(FIGURES), help="One figure, as png, pdf or svg, in place of the tables.")
@click.option("--private", is_flag=True, help="Show images in the page that the data set's license forbids to publish.")
@click.option(
    "--columns",
    multiple=True,
    help="A column to show, 'default' for those shown without this, or 'all'; repeat or separate by commas.",
)
@click.option(
    "--metric",
    type=shared.Registered("metric"),
    help="The metric of tables and figures, if the runs report several.  [default: the first, which selected]",
)
@click.option("--sort", help="Column to sort by, best first.  [default: the first score]")
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
    private: bool,
    columns: tuple[str, ...],
    metric: str | None,
    sort: str | None,
) -> ExitCode:
    """Show recorded runs (files, folders; the results folder where none are named) as comparison tables.

    Runs are grouped by what must be equal before their scores may be compared; a row is an algorithm, its seeds
    taken together. A file that is no record is named and skipped. The format html makes one self-contained page with
    the tables, figures, sample episodes and every run's settings.
    """
    _check(format_, figure, output, private=private)
    from mamlbench.report import build_tables, read_records

    folder = session_of(context).project.results_dir or Path("results")
    reading = read_records(paths or ([folder] if folder.exists() else []))
    gc.freeze()  # the records stay to the end: to search them for garbage at every step takes longer than the tables
    for problem in reading.problems:
        click.echo(f"Skipped: {problem}", err=True)
    if not reading.records:
        raise NothingToDoError("There is no record to report: 'mamlbench run' makes one.")
    if figure is not None:
        _write(_figure(figure, reading.records, format_, metric), output)
        return ExitCode.OK
    names, plugin_columns = _columns(session_of(context), columns, sort, reading.records)
    if format_ == "html":
        from mamlbench.report.page import render_page

        _write(
            render_page(
                reading.records,
                reading.files,
                columns=names,
                sort=sort,
                private=private,
                problems=reading.problems,
                plugin_columns=plugin_columns,
                metric=metric,
            ),
            output,
        )
        return ExitCode.OK
    tables = build_tables(reading.records, names, sort, plugin_columns, metric)
    if format_ == "table" and output is None:
        from mamlbench.cli.show import console
        from mamlbench.report.render.terminal import print_tables

        print_tables(tables, console())
        return ExitCode.OK
    from mamlbench.report.render import RENDERERS

    _write(RENDERERS["md" if format_ == "table" else format_](tables), output)
    if format_ == "csv":  # which has no place for notes
        for problem in dict.fromkeys(problem for table in tables for problem in table.problems):
            click.echo(problem, err=True)
    return ExitCode.OK


def _columns(
    session: Session, given: Sequence[str], sort: str | None, records: Sequence[RunRecord]
) -> tuple[list[str], dict[str, ReportColumn]]:
    """Names of the columns to show, and what plugins bring of them.

    Plugins are loaded only where they may be meant: some import torch, which no table needs. The columns of a file
    that was named with ``--plugin`` are shown unasked.
    """
    from mamlbench.report.table.choose_columns import built_in_names, metric_columns

    names = [name.strip() for each in given for name in each.split(",") if name.strip()]
    metrics = {metric for record in records if record.test is not None for metric in record.test.metrics}
    known = built_in_names() | metric_columns(metrics) | metrics
    asked = {*names, *([sort] if sort else [])}
    if not session.given_plugins and "all" not in asked and asked <= known:
        return names, {}
    plugins = session.plugins if session.given_plugins else session.plugins_with_errors()
    broken = sum(bool(report.error) for report in plugins.reports)
    if broken:
        click.echo(f"{broken} plugin(s) failed to load: see 'mamlbench plugins'.", err=True)
    for name in plugins.report_columns.keys() & known:
        click.echo(
            f"Column '{name}' of {plugins.report_columns[name].origin} is not shown: a built-in column has the name.",
            err=True,
        )
    plugin_columns = {name: column for name, column in plugins.report_columns.items() if name not in known}
    files = {str(path.resolve()) for path in session.given_plugins}
    unasked = [name for name, column in plugin_columns.items() if column.origin in files]
    return names or (["default", *unasked] if unasked else []), plugin_columns


def _check(format_: str, figure: str | None, output: Path | None, *, private: bool) -> None:
    """Refuse options that do not go together."""
    if figure is not None and format_ not in OF_FIGURES:
        raise ConfigError(f"--figure makes {', '.join(OF_FIGURES)}, not '{format_}': give one of them with --format.")
    if figure is None and format_ in ("png", "pdf"):
        raise ConfigError(f"The format '{format_}' is for one figure: add --figure with one of {', '.join(FIGURES)}.")
    if format_ in ("png", "pdf") and output is None:
        raise ConfigError(f"The format '{format_}' is no text: name a file with --output.")
    if private and format_ != "html":
        raise ConfigError("--private is about the images in a page: it goes with --format html.")


def _figure(name: str, records: Sequence[RunRecord], format_: str, metric: str | None) -> bytes:
    from mamlbench.report.figures.export import save_figure
    from mamlbench.report.table.groups import group_records

    return save_figure(name, group_records(records, metric), format_)


def _write(content: str | bytes, output: Path | None) -> None:
    data = content.encode() if isinstance(content, str) else content
    if output is None:
        click.echo(data, nl=False)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"'{output}' cannot be written ({error.strerror}): choose another with --output.") from error
    click.echo(f"Written: {output}", err=True)

"""``mamlbench report``: recorded runs as comparison tables."""

from __future__ import annotations

from pathlib import Path

import click

from mamlbench.cli import options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, ExitCode, NothingToDoError

FORMATS = ("table", "md", "latex", "csv", "json", "svg")

EPILOG = """\b
Examples:
  mamlbench report                                   the results folder
  mamlbench report results/omniglot-*.json --columns all
  mamlbench report --format latex --output table.tex"""


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, type=shared.RecordPath())
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="Output.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead.")
@click.option("--columns", multiple=True, help="A column to show, or 'all'; repeat or separate by commas.")
@click.option("--sort", help="Column to sort by, best first.  [default: the first score]")
@shared.debug
@click.pass_context
def command(
    context: click.Context, /, *, paths: tuple[Path, ...], format_: str, output: Path | None,
    columns: tuple[str, ...], sort: str | None,
) -> ExitCode:  # fmt: skip
    """Print recorded runs (files, folders; the results folder where none are named) as comparison tables.

    Runs are grouped by what must be equal before their scores may be compared; a row is an algorithm, its seeds
    taken together. A file that is no record is named and skipped.
    """
    from mamlbench.report import build_tables, read_records

    folder = session_of(context).project.results_dir or Path("results")
    reading = read_records(paths or ([folder] if folder.exists() else []))
    for problem in reading.problems:
        click.echo(f"Skipped: {problem}", err=True)
    if not reading.records:
        raise NothingToDoError("There is no record to report: 'mamlbench run' makes one.")
    names = [name.strip() for given in columns for name in given.split(",") if name.strip()]
    tables = build_tables(reading.records, names, sort)
    if format_ == "table" and output is None:
        from mamlbench.cli.show import console
        from mamlbench.report.render.terminal import print_tables

        print_tables(tables, console())
        return ExitCode.OK
    from mamlbench.report.render import RENDERERS

    _write(RENDERERS["md" if format_ == "table" else format_](tables), output)
    return ExitCode.OK


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"'{output}' cannot be written ({error.strerror}): choose another with --output.") from error
    click.echo(f"Written: {output}", err=True)

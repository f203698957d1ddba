"""``mamlbench compare``: is HEAD worse than BASE? For a CI job, and for a person."""

from __future__ import annotations

from pathlib import Path

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, ExitCode

FORMATS = ("table", "md", "json", "benchmark", "benchmark-bigger")

EPILOG = """\b
Examples:
  mamlbench compare results/reference results/new --fail accuracy:-1pp
  mamlbench compare main results --fail accuracy:-2pp --fail device_seconds:+10% --fail peak_memory:+5%
  mamlbench compare main results --fail "macro F1:-1pp" --fail "negative log-likelihood:+0.05"
  mamlbench compare main results --format md --output summary.md
  mamlbench compare main results --rerun-base --fail device_seconds:+10%

\b
Metrics: any that the records report, in every mode: accuracy, "macro F1", ...; score stands for the first of them,
transductive, inductive, support+query for the first in that mode. Time and memory: device_seconds, wall_seconds,
milliseconds, iterations_per_second, peak_memory.

\b
A change of a metric is in pp if its unit is %, else a plain number; of any in % of the base.

\b
Exit codes: 0 everything watched is shown to be no worse than its threshold allows; 1 something watched is worse;
5 nothing can be compared, or something watched could not be decided; 4 usage."""


@click.command(epilog=EPILOG)
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="HEAD")
@click.option(
    "--fail",
    "fail",
    multiple=True,
    metavar="METRIC:CHANGE",
    help="Fail where a metric is worse by more than this, as accuracy:-1pp or device_seconds:+10%; repeat "
    "for several.  [default: fail in [compare] of mamlbench.toml]",
)
@click.option(
    "--rerun-base",
    is_flag=True,
    help="Run the cells of both sides again on this machine, by turns, BASE's with the code of its git "
    "revision, and judge those runs: so times and memory can be compared.",
)
@click.option(
    "--base-revision",
    metavar="REVISION",
    help="Revision of BASE's code.  [default: BASE, where that is one, or the one that its records name]",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Runs of each cell on either side with --rerun-base, and at least one for each of its seeds.",
)
@click.option(
    "--rerun-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the records of --rerun-base here, in base/ and head/; what is there counts as well.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Output; benchmark is JSON for github-action-benchmark (customSmallerIsBetter).",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead.")
@shared.data_dir
@shared.plugin_files
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    base: str,
    head: str,
    fail: tuple[str, ...],
    rerun_base: bool,
    base_revision: str | None,
    repeats: int,
    rerun_dir: Path | None,
    data_dir: Path | None,
    format_: str,
    output: Path | None,
) -> ExitCode:
    """Judge the records of HEAD against those of BASE: files, folders, or a git revision (its results folder).

    For every cell (algorithm, data set, protocol, preset) and metric: better, worse, same, inconclusive (with what
    would decide), not comparable, or missing. Worse needs both: more than the threshold, and more than chance.

    With --rerun-base, BASE may be a revision without records: HEAD's cells are then run with its code.
    """
    from mamlbench.report.gate import compare_records, parse_thresholds
    from mamlbench.report.gate.render import RENDERERS, summary, to_terminal, to_text
    from mamlbench.report.gate.sides import read_side

    session = session_of(context)
    project = session.project
    thresholds = parse_thresholds(fail or project.compare.fail)
    results = project.results_dir or Path("results")
    before, after = read_side(base, results, allow_missing=rerun_base), read_side(head, results)
    if rerun_base:
        from mamlbench.cli.rerun_display import rerun_sides, revision_of
        from mamlbench.user_config import folders

        revision = base_revision or (revision_of(before.records) if Path(base).exists() else base)
        places = folders(project, data_dir=data_dir, results_dir=results)
        before, after = rerun_sides(before, after, revision, session.plugins, places, repeats=repeats, folder=rerun_dir)
    for problem in (*before.problems, *after.problems):
        click.echo(f"Skipped: {problem}", err=True)
    result = compare_records(before, after, thresholds)
    if format_ == "table" and output is None:
        from mamlbench.cli.show import console

        console().print(to_terminal(result))
        return result.exit_code
    text = to_text(result) if format_ == "table" else RENDERERS[format_](result)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(text, output)
    click.echo(summary(result), err=True)
    return result.exit_code


def _write(text: str, output: Path) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"'{output}' cannot be written ({error.strerror}): choose another with --output.") from error
    click.echo(f"Written: {output}", err=True)

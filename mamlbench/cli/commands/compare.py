"""``mamlbench compare``: is HEAD worse than BASE?"""

from __future__ import annotations

from pathlib import Path

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, ExitCode
from mamlbench.run_spec.bounds import MOST

FORMATS = ("table", "md", "json", "benchmark", "benchmark-bigger")

EPILOG = """\b
Examples:
  mamlbench compare results/reference results/new --fail accuracy:-1pp
  mamlbench compare main results --fail accuracy:-2pp --fail device_seconds:+10% --fail peak_memory:+5%
  mamlbench compare main results --fail "macro F1:-1pp" --fail "negative log-likelihood:+0.05"
  mamlbench compare main results --format md --output summary.md
  mamlbench compare main results --rerun-base --fail device_seconds:+10%
  mamlbench compare main suite.toml --rerun-base --rerun-dir both --fail accuracy:-1pp

\b
Metrics: any that the records report, in every mode: accuracy, "macro F1", ...; score is the first of them,
transductive, inductive, support+query for the first in that mode. Time and memory: device_seconds, wall_seconds,
milliseconds, iterations_per_second, peak_memory.

\b
A change of a metric is in pp if its unit is %, else a plain number; of any in % of the base.

\b
Exit codes: 0 every metric with a threshold is shown to be no worse than allowed; 1 one of them is worse;
5 nothing can be compared, or one of them is undecided; 4 usage."""


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="HEAD")
@click.option(
    "--fail",
    "fail",
    multiple=True,
    metavar="METRIC:CHANGE",
    help="Fail if a metric is worse by more than this, such as accuracy:-1pp or device_seconds:+10%; repeat "
    "for several.  [default: fail in [compare] of mamlbench.toml]",
)
@click.option(
    "--population",
    type=click.Choice(["these-classes", "new-classes"]),
    default="these-classes",
    show_default=True,
    help="Classes that verdicts on scores hold for: those of the test, which a gate meets again and again, or new ones "
    "like them.",
)
@click.option(
    "--rerun-base",
    is_flag=True,
    help="Run both sides again on this machine, in alternation, BASE with the code of its git revision, and compare "
    "these runs. This makes times and memory comparable.",
)
@click.option(
    "--base-revision",
    metavar="REVISION",
    help="Revision of BASE's code.  [default: BASE if it is a revision, otherwise the one in its records]",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, MOST),
    default=5,
    show_default=True,
    help="With --rerun-base: runs of each configuration per side, and at least one per seed.",
)
@click.option(
    "--rerun-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the records of --rerun-base in this folder, in base/ and head/, and use those already there.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Output; benchmark is JSON for github-action-benchmark (customSmallerIsBetter).",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
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
    population: str,
    rerun_base: bool,
    base_revision: str | None,
    repeats: int,
    rerun_dir: Path | None,
    data_dir: Path | None,
    format_: str,
    output: Path | None,
) -> ExitCode:
    """Compare the records of HEAD with those of BASE: files, folders, or a git revision (its results folder).

    The verdict on each configuration (algorithm, data set, protocol, preset) and metric is better, worse, same,
    inconclusive, not comparable or missing. A metric is worse if the change exceeds the threshold and is significant.

    With --rerun-base, BASE may be a revision without records: HEAD's specs are then run with its code. And HEAD may be
    a suite file: its cells are run with both codes, and nothing needs to have been run before.
    """
    from mamlbench.report.gate import compare_records, parse_thresholds
    from mamlbench.report.gate.render import RENDERERS, summary, to_terminal, to_text
    from mamlbench.report.gate.sides import read_side
    from mamlbench.user_config import folders

    session = session_of(context)
    config = session.config
    thresholds = parse_thresholds(fail or config.compare.fail)
    results = config.results_dir or Path("results")
    locations = folders(config, data_dir=data_dir, results_dir=results)
    if rerun_base and head.endswith(".toml"):
        from mamlbench.cli.rerun_display import run_suite_on_both

        before, after = run_suite_on_both(
            Path(head), base_revision or base, session, locations, repeats=repeats, folder=rerun_dir
        )
    else:
        before, after = read_side(base, results, allow_missing=rerun_base), read_side(head, results)
        if rerun_base:
            from mamlbench.cli.rerun_display import rerun_sides, revision_of

            revision = base_revision or (revision_of(before.records) if Path(base).exists() else base)
            before, after = rerun_sides(
                before, after, revision, session.plugins, locations, repeats=repeats, folder=rerun_dir
            )
    for problem in (*before.problems, *after.problems):
        click.echo(f"Skipped: {problem}", err=True)
    result = compare_records(
        before, after, thresholds, "new classes" if population == "new-classes" else "these classes"
    )
    if format_ == "table" and output is None:
        from mamlbench.progress.console import console

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
        raise ConfigError(f"'{output}' cannot be written ({error.strerror}). Choose another with --output.") from error
    click.echo(f"Written: {output}", err=True)

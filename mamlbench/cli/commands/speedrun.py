"""``mamlbench speedrun``: how fast a target score is reached, by rules that anybody can check."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, ExitCode, MamlbenchError, did_you_mean
from mamlbench.plugin import SPEEDRUN
from mamlbench.run_spec.bounds import MOST_SEEDS

if TYPE_CHECKING:
    from mamlbench.bench.speedrun import SpeedrunPlan
    from mamlbench.cli.session import Session
    from mamlbench.record.speedrun_target import SpeedrunResult, SpeedrunTarget
    from mamlbench.run_spec import Folders

EPILOG = """\b
Examples:
  mamlbench speedrun                                     the targets
  mamlbench speedrun omniglot-98                         its rules, entries and ledger
  mamlbench speedrun omniglot-98 protonet-60-ways --data-dir ~/data
  mamlbench speedrun omniglot-98 mine --entries mine.toml --ledger speedrun/records

\b
An entry runs with 5 training seeds, by turns with the baseline of its track, on this machine; close other programs.
docs/speedrun.md has the rules and the format of FILE.
Exit codes: 0 done, whatever came out; with --require reached, 1 if an entry did not reach the target."""

LEDGER = Path("speedrun/records")


class _Target(click.ParamType[str]):
    """A registered target; the shell completes it."""

    name = "target"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            entries = session_of(context).plugins_with_errors(quiet=True).registry.entries(SPEEDRUN)
        except MamlbenchError:
            return []
        return [CompletionItem(e.name, help=e.summary) for e in entries if e.name.startswith(incomplete)]


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("target", required=False, type=_Target(), metavar="[TARGET]")
@click.argument("names", nargs=-1, metavar="[ENTRY]...")
@click.option(
    "--entries",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.toml",
    help="Further entries: tables [[entry]]; may be repeated.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    help="Number of training seeds; fewer than the target's make no claim.  [default: the target's]",
)
@click.option(
    "--ledger",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Add the results to this folder, and show the results there.  [default: shows {LEDGER}]",
)
@click.option("--require", type=click.Choice(["reached"]), help="End with exit code 1 unless this is so.")
@shared.data_dir
@shared.results_dir
@shared.plugin_files
@shared.as_json
@shared.quiet
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    target: str | None,
    names: tuple[str, ...],
    files: tuple[Path, ...],
    seeds: int | None,
    ledger: Path | None,
    require: str | None,
    data_dir: Path | None,
    results_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Run entries of a speedrun by turns with the baseline; without ENTRY, show the target and its ledger.

    The clock counts training alone: data and updates of all phases. The target is reached if the mean test score over
    the seeds is above it with p < 0.01.
    """
    session = session_of(context)
    if target is None:
        _list_targets(session, as_json=as_json)
        return ExitCode.OK
    selected = _read_target(session, target)
    if not names:
        _show_target(session, selected, ledger or LEDGER, as_json=as_json)
        return ExitCode.OK

    from mamlbench.bench.speedrun import judge_speedrun, plan_speedrun, read_entries, write_result
    from mamlbench.cli.speedrun_display import show_results
    from mamlbench.user_config import folders

    own = [entry for file in files for entry in read_entries(file)]
    plan = plan_speedrun(selected, names, session.plugins, own=own, seeds=seeds)
    locations = folders(session.config, data_dir=data_dir, results_dir=results_dir)
    results = _run(session, plan, locations, quiet=quiet)
    paths = [write_result(ledger, result) for result in results] if ledger else []
    verdicts = [judge_speedrun(selected, result) for result in results]
    show_results(selected, verdicts, as_json=as_json)
    for path in paths:
        click.echo(f"Result: {path}", err=True)
    missed = require and not all(verdict.reached for verdict in verdicts if not verdict.result.is_baseline)
    return ExitCode.REGRESSION if missed else ExitCode.OK


def _run(session: Session, plan: SpeedrunPlan, locations: Folders, *, quiet: bool) -> list[SpeedrunResult]:
    from mamlbench.bench.speedrun import run_speedrun
    from mamlbench.progress.display import progress
    from mamlbench.record.speedrun_target import SpeedrunTrial

    with progress(session.plugins) if not quiet else nullcontext():
        for event in run_speedrun(plan, session.plugins, locations):
            if not isinstance(event, SpeedrunTrial):
                return event
    raise AssertionError("a speedrun ends with its results")


def _read_target(session: Session, name: str) -> SpeedrunTarget:
    from mamlbench.bench.speedrun import read_target

    entries = {entry.name: entry for entry in session.plugins_with_errors().registry.entries(SPEEDRUN)}
    if name not in entries:
        raise ConfigError(f"There is no speedrun '{name}'.{did_you_mean(name, entries)}")
    return read_target(Path(str(entries[name].target)))


def _list_targets(session: Session, *, as_json: bool) -> None:
    from mamlbench.cli.speedrun_display import show_targets

    show_targets(session.plugins_with_errors().registry.entries(SPEEDRUN), as_json=as_json)


def _show_target(session: Session, target: SpeedrunTarget, ledger: Path, *, as_json: bool) -> None:
    from mamlbench.bench.speedrun import judge_speedrun, read_ledger
    from mamlbench.cli.speedrun_display import show_target

    results, problems = read_ledger(ledger, target.name)
    session.warn(problems)
    show_target(target, [judge_speedrun(target, result) for result in results], as_json=as_json)

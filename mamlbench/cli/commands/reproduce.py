"""``mamlbench reproduce``: run a published number again, and see its verdict."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode, MamlbenchError, NothingToDoError, did_you_mean
from mamlbench.plugin.reproductions import Reproducible, find_reproduction, read_reproductions
from mamlbench.run_spec.bounds import MOST_SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mamlbench.api import Launcher
    from mamlbench.plugin import Plugins
    from mamlbench.record import RunRecord
    from mamlbench.record.reproduction import PlannedReproduction
    from mamlbench.report.reproduction.verdict import ReproductionVerdict
    from mamlbench.run_spec import Folders

_OTHER_OPTIONS = (
    "the settings of the runs are the source's, and 'mamlbench run --preset paper -o NAME=VALUE' changes them."
)
"""How options are set that are not the launcher's."""
EPILOG = """\b
Examples:
  mamlbench reproduce                                        what can be reproduced
  mamlbench reproduce cbfinn/maml                            the same, of one source or system
  mamlbench reproduce finn2017/omniglot-5w1s --dry-run       settings, differences and cost
  mamlbench reproduce finn2017/omniglot-5w1s --data-dir ~/data
  mamlbench reproduce finn2017/omniglot-5w1s --scale 0.05    a twentieth of the iterations
  mamlbench reproduce finn2017/mini-5w1s --variant all       every reading of the source

\b
The same command again goes on with what was interrupted, and repeats no finished run.
Exit codes: 0 the verdict is printed, whatever it is; with --require reproduced, 1 for any other."""


class _Name(click.ParamType[str]):
    """A reproduction; the shell completes it."""

    name = "name"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            entries, _ = read_reproductions(session_of(context).plugins_with_errors(quiet=True).registry.published)
        except MamlbenchError:
            return []
        names = [(entry.reproduction.name, entry.number.printed) for entry in entries]
        return [CompletionItem(name, help=printed) for name, printed in names if name.startswith(incomplete)]


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("name", required=False, type=_Name(), metavar="[NAME]")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="READING",
    help="A reading of the source by name, or all; may be repeated.  [default: the first]",
)
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Fraction of the source's iterations; schedules follow. Every output says so.",
)
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1, MOST_SEEDS), help="Number of training seeds."
)
@click.option("--dry-run", is_flag=True, help="Show every setting, what differs from the source, and the cost; stop.")
@click.option("--require", type=click.Choice(["reproduced"]), help="End with exit code 1 unless this is the verdict.")
@shared.device
@click.option("--engine", default="auto", show_default=True, help="How tasks are computed; as for 'run'.")
@shared.trackers
@shared.launcher
@shared.launcher_options
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
    name: str | None,
    variants: tuple[str, ...],
    scale: float,
    seeds: int,
    dry_run: bool,
    require: str | None,
    device: str,
    engine: str,
    trackers: tuple[str, ...],
    launcher: str | None,
    options: tuple[str, ...],
    data_dir: Path | None,
    results_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Run a published number again with its source's settings, and print its verdict; without NAME, list the names.

    The verdict is reproduced (shown to differ by less than the margin), below, above, inconclusive or not comparable,
    with the reason: another protocol, a leak, a part of the data set, fewer iterations.

    NAME is that of the list, NAME:READING, or the id of a published number.
    """
    session = session_of(context)
    plugins = session.plugins_with_errors() if name is None else session.plugins
    entries, problems = read_reproductions(plugins.registry.published)
    session.warn(problems)
    selected = _selected(entries, name)
    if selected is not None:
        _list(selected, as_json=as_json)
        return ExitCode.OK
    assert name is not None
    entry, reading = find_reproduction(name, entries)

    from mamlbench.runner.plan_reproduction import plan_reproduction
    from mamlbench.user_config import folders

    readings = (*([reading] if reading else []), *variants)
    planned = plan_reproduction(
        entry, plugins, readings=readings, scale=scale, seeds=seeds, device=device, engine=engine
    )
    locations = folders(session.config, data_dir=data_dir, results_dir=results_dir)
    if dry_run:
        _show_plan(planned, plugins, locations, as_json=as_json)
        return ExitCode.OK
    plugins.track((*session.config.trackers, *trackers), locations.results)
    chosen = shared.selected_launcher(launcher, shared.options_of_launcher_alone(options, _OTHER_OPTIONS), plugins)
    records = _launch(planned, plugins, locations, chosen, quiet=quiet)
    code = _unfinished(records, locations)
    if code != ExitCode.OK:
        return code
    verdicts = _verdicts(planned, records, plugins, locations)
    _show_verdicts(planned, verdicts, locations, as_json=as_json)
    missed = require is not None and any(verdict.kind != require for verdict in verdicts)
    return ExitCode.REGRESSION if missed else ExitCode.OK


def _selected(entries: Sequence[Reproducible], name: str | None) -> list[Reproducible] | None:
    """The reproductions to list: all, or those of a source or system; None if ``name`` is a reproduction."""
    if name is None:
        if not entries:
            raise NothingToDoError("No published number says how it is run again.")
        return list(entries)
    of_source = [
        entry for entry in entries if name in (entry.reproduction.system, entry.reproduction.name.partition("/")[0])
    ]
    if not of_source and "/" not in name:
        sources = {entry.reproduction.name.partition("/")[0] for entry in entries}
        raise NothingToDoError(f"Nothing of a source '{name}' can be reproduced.{did_you_mean(name, sources)}")
    return of_source or None


def _list(entries: Sequence[Reproducible], *, as_json: bool) -> None:
    from mamlbench.cli.reproduction_display import list_as_json, show_list

    if as_json:
        click.echo(list_as_json(entries))
    else:
        show_list(entries)


def _show_plan(planned: Sequence[PlannedReproduction], plugins: Plugins, locations: Folders, *, as_json: bool) -> None:
    from mamlbench.cli.reproduction_display import plan_as_json, show_plan
    from mamlbench.runner.reproduction_cost import reproduction_cost

    costs = [reproduction_cost(entry, plugins, locations) for entry in planned]
    if as_json:
        click.echo(plan_as_json(planned, costs))
    else:
        show_plan(planned, costs, plugins)


def _launch(
    planned: Sequence[PlannedReproduction],
    plugins: Plugins,
    locations: Folders,
    chosen: Launcher | None,
    *,
    quiet: bool,
) -> list[RunRecord]:
    """Run what has not finished; return the records of all readings and seeds."""
    from mamlbench.progress.display import progress
    from mamlbench.runner.launch import launch
    from mamlbench.runner.resuming import LATEST

    specs = {spec.hash: spec for entry in planned for spec in entry.specs}
    with progress(plugins) if not quiet else nullcontext():
        return launch([*specs.values()], plugins, locations, launcher=chosen, resume=LATEST)


def _unfinished(records: Sequence[RunRecord], locations: Folders) -> ExitCode:
    """Report the runs that did not finish; return the exit code that they have."""
    from mamlbench.cli.show import exit_code

    for record in records:
        if record.status != "finished":
            click.echo(f"{record.name}: {record.status}: {record.reason}", err=True)
            click.echo(f"Record: {locations.results / record.name}.json", err=True)
    code = exit_code(records)
    if code != ExitCode.OK:
        click.echo("There is no verdict yet. The same command again goes on.", err=True)
    return code


def _verdicts(
    planned: Sequence[PlannedReproduction], records: Sequence[RunRecord], plugins: Plugins, locations: Folders
) -> list[ReproductionVerdict]:
    from mamlbench.report.reproduction.verdict import judge_reproduction
    from mamlbench.runner.plan_reproduction import as_the_number_is_tested

    by_hash = {record.spec_hash: record for record in records}
    return [
        judge_reproduction(
            entry,
            [as_the_number_is_tested(entry, by_hash[spec.hash], plugins, locations) for spec in entry.specs],
        )
        for entry in planned
    ]


def _show_verdicts(
    planned: Sequence[PlannedReproduction],
    verdicts: Sequence[ReproductionVerdict],
    locations: Folders,
    *,
    as_json: bool,
) -> None:
    from mamlbench.cli.reproduction_display import show_verdicts, verdicts_as_json

    if as_json:
        click.echo(verdicts_as_json(planned, verdicts))
    else:
        show_verdicts(planned, verdicts, locations.results)

"""``mamlbench suite``: run a grid, or resume it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mamlbench.cli import shared_options as shared
from mamlbench.cli.help_sections import SectionedCommand
from mamlbench.cli.main import session_of
from mamlbench.cli.session import Session
from mamlbench.errors import ConfigError, ExitCode, MamlbenchError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mamlbench.plugin import Plugins
    from mamlbench.runner.suites.run_suite import SuiteCell, SuitePlan
    from mamlbench.suite import Suite

_OTHER_OPTIONS = "to set options of all cells, use --set options.NAME=VALUE."
"""How options are set that are not the launcher's."""
EPILOG = """\b
Examples:
  mamlbench suite study.toml --dry-run               show what would run, and how long it takes
  mamlbench suite study.toml                         run what is missing
  mamlbench suite study.toml --join                  the same, shared with others that are started so
  mamlbench suite study.toml --launcher ray          on a Ray cluster; dask and slurm likewise
  mamlbench suite study.toml --set iterations=10 --set seeds=1 --results-dir /tmp/try

\b
A suite file (lists multiply; docs/suites.md):
  algorithm = ["maml", "reptile"]
  shots = [1, 5]
  seeds = 3
  options.backbone.width = 32
  [[override]]
  when.algorithm = "reptile"
  iterations = 3000"""


class _SuiteName(click.Path):
    """A suite file, or the name of a registered suite."""

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            entries = session_of(context).plugins_with_errors(quiet=True).registry.entries("suite")
        except MamlbenchError:
            entries = []
        names = [CompletionItem(e.name, help=e.summary) for e in entries if e.name.startswith(incomplete)]
        return [*names, *super().shell_complete(context, param, incomplete)]


@click.command(cls=SectionedCommand, epilog=EPILOG)
@click.argument("suite", type=_SuiteName(), metavar="FILE.toml|NAME")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--retry-failed", is_flag=True, help="Run failed cells again.")
@click.option("--fresh", is_flag=True, help="Also run finished cells again.")
@click.option(
    "--join",
    is_flag=True,
    help="Share the work with all processes that are started so on the same results folder, on any machines.",
)
@click.option(
    "--attach",
    is_flag=True,
    help="Follow the cells that run on the launcher's cluster although the command that started them is gone.",
)
@click.option("--watch", is_flag=True, help="Show the table again whenever a cell has ended.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting that replaces the file's in every cell, in the same notation: iterations=10, "
    "shots=[1,5], options.backbone.width=8. May be repeated.",
)
@click.option(
    "--track",
    "trackers",
    multiple=True,
    type=shared.Registered("tracker"),
    help="Also send the curves of every cell to tensorboard, mlflow or wandb; repeat for several.",
)
@shared.launcher
@shared.launcher_options
@shared.data_dir
@shared.results_dir
@shared.plugin_files
@shared.as_json
@click.option("-q", "--quiet", is_flag=True, help="Show no plan and no progress.")
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    suite: str,
    dry_run: bool,
    retry_failed: bool,
    fresh: bool,
    join: bool,
    attach: bool,
    watch: bool,
    changes: tuple[str, ...],
    trackers: tuple[str, ...],
    launcher: str | None,
    options: tuple[str, ...],
    data_dir: Path | None,
    results_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Run every cell of a suite, each in a new process, and print the table of its records.

    Cells run one after the other unless --launcher or its options change this (-o launcher.max_parallel=2).

    A cell is finished if there is a record of the same settings, code and environment; it is not run again. Failed
    cells run again with --retry-failed. After an interrupt or a crash, the same command resumes the suite; a cell
    that was running goes on from its last checkpoint.
    """
    if join and fresh:
        raise click.UsageError("--join runs each cell once, --fresh runs finished ones again: leave out one of them.")
    if attach and (join or fresh):
        raise click.UsageError("--attach starts no cell: leave out --join and --fresh.")
    if watch and quiet:
        raise click.UsageError("--watch shows what --quiet hides: leave out one of them.")
    session = session_of(context)
    settings = shared.parse_options(changes, "--set", "iterations=10")
    launcher_options = shared.options_of_launcher_alone(options, _OTHER_OPTIONS)
    suite_file, plugins = _find(suite, session)

    from mamlbench.cli.suite_display import plan_as_json, show_plan
    from mamlbench.runner.suites.join_suite import join_suite
    from mamlbench.runner.suites.run_suite import plan_suite, run_suite
    from mamlbench.suite import read_changes
    from mamlbench.user_config import folders

    selected = shared.selected_launcher(launcher, launcher_options, plugins)
    locations = folders(session.config, data_dir=data_dir, results_dir=results_dir)
    file_changes = read_changes(settings)
    planned = plan_suite(
        suite_file,
        plugins,
        locations,
        changes=file_changes,
        retry_failed=retry_failed,
        fresh=fresh,
        elsewhere=selected is not None and selected.elsewhere,
    )
    for problem in planned.history.problems:
        click.echo(f"Skipped: {problem}", err=True)
    if not quiet:
        show_plan(planned, locations.results)
    if dry_run:
        if as_json:
            click.echo(plan_as_json(planned, locations.results))
        return ExitCode.OK
    plugins.track((*session.config.trackers, *trackers), locations.results)
    run = partial(join_suite, retry_failed=retry_failed) if join else partial(run_suite, attach=attach)
    ends = run(planned, plugins, locations, selected)
    interrupted = _run(planned, ends, plugins, quiet=quiet, watch=watch)
    return _finish(planned, locations.results, as_json, interrupted)


def _find(name: str, session: Session) -> tuple[Suite, Plugins]:
    """Read the file or the registered suite, and load the plugins that it names."""
    from mamlbench.suite import read_suite

    path = Path(name)
    if not path.is_file() and path.suffix != ".toml":
        registry = session.plugins.registry
        if name not in registry.names("suite"):
            hint = did_you_mean(name, registry.names("suite"))
            raise ConfigError(f"'{name}' is neither a file nor a registered suite.{hint}")
        path = Path(str(registry.entry("suite", name).target))
    suite = read_suite(path)
    return suite, session.plugins_with(tuple(path.resolve() for path in suite.plugins))


def _run(planned: SuitePlan, ends: Iterator[SuiteCell], plugins: Plugins, *, quiet: bool, watch: bool) -> bool:
    """Run the waiting cells, and return whether they were interrupted."""
    from mamlbench.cli.suite_display import SuiteDisplay
    from mamlbench.progress.display import progress

    if quiet:
        return "interrupted" in {cell.state for cell in ends}
    display = SuiteDisplay(planned)
    interrupted = False
    with progress(plugins, display):
        for cell in ends:
            display.ended(cell)
            if watch and planned.waiting and cell.record is not None:  # the last table is printed in any case
                display.show_table()
            interrupted |= cell.state == "interrupted"
    return interrupted


def _finish(planned: SuitePlan, folder: Path, as_json: bool, interrupted: bool) -> ExitCode:
    from mamlbench.cli.show import show_records
    from mamlbench.cli.suite_display import plan_as_json, records_of

    if as_json:
        click.echo(plan_as_json(planned, folder))
    else:
        show_records(records_of(planned.cells), folder, as_json=False, missing=len(planned.waiting))
    for reason, names in _not_started(planned).items():
        click.echo(f"{', '.join(names)}: not started: {reason}", err=True)
    if interrupted:
        click.echo("Interrupted. Run the same command again to resume.", err=True)
        return ExitCode.INTERRUPTED
    done = all(cell.state == "finished" for cell in planned.cells)
    return ExitCode.OK if done else ExitCode.RUN_FAILED


def _not_started(planned: SuitePlan) -> dict[str, list[str]]:
    """Return which algorithms on which data sets were not started, by reason: often many cells share one."""
    by_reason: dict[str, list[str]] = {}
    for cell in planned.cells:
        if cell.state == "not started":
            name = f"{cell.spec.algorithm.name} on {cell.spec.dataset.name}"
            names = by_reason.setdefault(cell.reason, [])
            names += [] if name in names else [name]
    return by_reason

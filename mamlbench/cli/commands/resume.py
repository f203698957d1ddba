"""``mamlbench resume``: go on with a run that was interrupted or killed."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode

EPILOG = """\b
Examples:
  mamlbench resume results/glyphs-5w1s-maml-seed0-1a2b3c4d-5e6f70-1.json    its record
  mamlbench resume results/glyphs-5w1s-maml-seed0-1a2b3c4d-5e6f70-1         its folder: a killed run has no record"""


@click.command(epilog=EPILOG)
@click.argument("run", type=shared.RecordPath(), metavar="RUN")
@shared.trackers
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.quiet
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    run: Path,
    trackers: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Go on with a run from its last checkpoint, with the settings that it was begun with, and print a table.

    RUN is a record or a run's folder. Plugins that it was begun with are named again with --plugin. The numbers are
    those of a run that was never stopped; a run that has finished is not run again.
    """
    session = session_of(context)
    plugins = session.plugins

    from mamlbench.cli.show import exit_code, show_records
    from mamlbench.progress.display import progress
    from mamlbench.runner.launch import launch
    from mamlbench.runner.resuming import read_spec
    from mamlbench.user_config import folders

    spec, name, folder = read_spec(run)
    locations = folders(session.config, data_dir=data_dir, results_dir=folder)
    plugins.track((*session.config.trackers, *trackers), locations.results)
    with progress(plugins) if not quiet else nullcontext():
        records = launch([spec], plugins, locations, resume=name)
    show_records(records, locations.results, as_json=as_json)
    return exit_code(records)

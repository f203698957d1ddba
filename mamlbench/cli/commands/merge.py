"""``mamlbench merge``: unite folders of records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.errors import ExitCode, NothingToDoError

if TYPE_CHECKING:
    from mamlbench.record.merge_folders import MergedRecord

EPILOG = """\b
Examples:
  mamlbench merge results results-of-the-cluster             into results
  mamlbench merge monday tuesday --into all
  mamlbench merge results ../other/results --dry-run

\b
Exit codes: 0 every record is there, 1 some were left out, 5 there are no records."""


@click.command(epilog=EPILOG)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FOLDER...")
@click.option("--into", type=click.Path(path_type=Path), help="Folder to unite them in.  [default: the first one]")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@shared.as_json
@shared.quiet
@shared.debug
def command(*, folders: tuple[Path, ...], into: Path | None, dry_run: bool, as_json: bool, quiet: bool) -> ExitCode:
    """Copy the records of every FOLDER, with models and all other files of their runs, into one folder.

    Nothing is overwritten and nothing removed. A record that is there already is not copied again; of two different
    ones with the same name, the second gets the next number, and keeps its old name as a notice. Left out, and named,
    are records that are damaged, or of runs that are being worked on. A record comes after its files; after an
    interrupt or a full disk, the same command finishes the work.
    """
    if len(folders) < 2 and into is None:
        raise click.UsageError("Name two folders or more, or one and --into.")

    from mamlbench.interrupts import deferred
    from mamlbench.progress.preparation import counted
    from mamlbench.record.merge_folders import FolderMerge

    merge = FolderMerge(folders, into or folders[0], dry_run=dry_run)
    total = len(merge.paths())
    done: list[MergedRecord] = []
    try:
        # an interrupt ends it between two records
        with deferred(), counted("Merging", total, quiet=quiet) as (advance, _):
            for merged in merge.merge():
                done.append(merged)
                advance(merged.source.stem)
    finally:  # an interrupt, or a full disk, does not hide what was done
        _show(done, merge.into, total, dry_run=dry_run, as_json=as_json)
    for run in merge.unrecorded():
        killed = f"'mamlbench resume {run}' goes on with it if it was killed"
        click.echo(f"Not copied: '{run}' has no record yet; {killed}.", err=True)
    if not done:
        raise NothingToDoError(f"There is no record in {', '.join(map(str, merge.sources)) or 'another folder'}.")
    return ExitCode.REGRESSION if any(merged.state == "left out" for merged in done) else ExitCode.OK


def _show(done: Sequence[MergedRecord], into: Path, total: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "source": str(one.source),
                "state": one.state,
                "target": None if one.target is None else str(one.target),
                "reason": one.reason,
            }
            for one in done
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    for one in done:
        if one.state == "renamed":
            click.echo(f"Renamed: '{one.source}' is '{one.target}': {one.reason}.")
        if one.state == "left out":
            click.echo(f"Left out: {one.reason}")
    counts = Counter(one.state for one in done)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    rest = f", {total - len(done)} not looked at" if len(done) < total else ""
    would = "would be " if dry_run else ""
    click.echo(f"{into}: of {total} record{'s' * (total != 1)} {would}{states or 'none brought'}{rest}.")

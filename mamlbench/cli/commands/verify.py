"""``mamlbench verify``: check that records, models and data are those of the runs, and repeat test episodes."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, ExitCode, NothingToDoError
from mamlbench.run_spec.bounds import MOST, MOST_SEED

if TYPE_CHECKING:
    from mamlbench.runner.verify_record import RecordVerification

EPILOG = """\b
Examples:
  mamlbench verify results/NAME.json                     its data set needs no download, such as glyphs
  mamlbench verify results --data-dir ~/data              every record in a folder
  mamlbench verify results/NAME.json --episodes 600       every test episode of the quick preset

\b
Exit codes: 0 everything was verified, 1 a check failed, 5 none failed, but not everything could be checked here."""

MARKS = {True: "ok", False: "FAILED", None: "not verified"}


@click.command(epilog=EPILOG)
@click.argument("records", nargs=-1, required=True, type=shared.RecordPath(), metavar="RECORD...")
@click.option(
    "--episodes", default=20, show_default=True, type=click.IntRange(0, MOST), help="Test episodes to compute again."
)
@click.option("--seed", type=click.IntRange(0, MOST_SEED), help="Chooses the episodes.  [default: another each time]")
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
    records: tuple[Path, ...],
    episodes: int,
    seed: int | None,
    data_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Check that nothing of a run has changed: RECORD is a record, or a folder of them.

    Compared with what the run wrote are the record (SHA-256, and whether its numbers agree with each other), its model
    and other files (SHA-256), and the data on this machine (content hashes). Then random test episodes are computed
    again, by the trained and the untrained network, with the run's engine and number of threads, and have to give the
    record's scores. Nothing is downloaded. What cannot be verified here is named, with the reason.
    """
    session = session_of(context)
    plugins = session.plugins
    seed = secrets.randbelow(1_000_000) if seed is None else seed

    from mamlbench.interrupts import check_interrupt
    from mamlbench.progress.preparation import counted
    from mamlbench.runner.verify_record import RecordVerifier
    from mamlbench.user_config import folders

    paths = list(dict.fromkeys(_record_files(records)))
    locations = folders(session.config, data_dir=data_dir)
    done: list[RecordVerification] = []
    try:
        with counted("Verifying", len(paths), quiet=quiet) as (advance, progress):
            verifier = RecordVerifier(plugins, locations, episodes=episodes, seed=seed, progress=progress)
            for path in paths:
                check_interrupt()
                done.append(verifier.verify(path))
                advance(path.stem)
    finally:  # an interrupt does not lose what is known already
        _show(done, len(paths), seed, as_json=as_json)
    results = {verification.ok for verification in done}
    return ExitCode.REGRESSION if False in results else ExitCode.NOTHING if None in results else ExitCode.OK


def _record_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The records among paths and in folders. Raises ConfigError or NothingToDoError if there is none."""
    from mamlbench.record import ResultStore

    for path in paths:
        if not path.exists():
            raise ConfigError(f"'{path}' does not exist. Name a record, or a folder that contains records.")
        if not path.is_dir():
            yield path
        elif os.path.isfile(of_folder := f"{path.resolve()}.json"):  # noqa: PTH113 (Path.is_file may raise an error)
            yield Path(of_folder)  # the folder is that of a run's files
        else:
            inside = ResultStore(path).paths()
            if not inside:
                raise NothingToDoError(f"There is no record in '{path}'.")
            yield from inside


def _show(done: list[RecordVerification], total: int, seed: int, *, as_json: bool) -> None:
    if as_json:
        content = [
            {
                "record": str(one.path),
                "ok": one.ok,
                "seed": seed,
                "checks": [{"name": c.name, "ok": c.ok, "result": c.result} for c in one.checks],
            }
            for one in done
        ]
        click.echo(json.dumps(content, indent=1))
        return
    for one in done:
        click.echo(one.path)
        for check in one.checks:
            click.echo(f"  {check.name:<11} {MARKS[check.ok]:<13} {check.result}")
    counts = {mark: sum(one.ok is ok for one in done) for ok, mark in MARKS.items()}
    summary = ", ".join(f"{count} {mark}" for mark, count in counts.items() if count)
    rest = f"; {total - len(done)} not looked at" if len(done) < total else ""
    click.echo(f"{len(done)} record{'s' * (len(done) != 1)}: {summary or 'none'}{rest}")
    if any(check.name == "test" and check.repeated for one in done for check in one.checks):
        click.echo(f"The test episodes were drawn at random; --seed {seed} draws the same ones again.")

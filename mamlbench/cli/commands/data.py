"""``mamlbench data``: lists, prepares and verifies data sets, and shows the folders that are searched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode

if TYPE_CHECKING:
    from mamlbench.plugin import Plugins
    from mamlbench.run_spec import Folders
    from mamlbench.runner.datasets.dataset_status import DatasetStatus
    from mamlbench.runner.datasets.verify import DatasetVerification

EPILOG = """\b
Examples:
  mamlbench data list
  mamlbench data prepare miniimagenet --data-dir ~/data
  mamlbench data prepare folder --data-dir ~/data -o path=flowers -o image_size=64
  mamlbench data verify omniglot"""

options = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the data set ('mamlbench info NAME' lists them). May be repeated.",
)
name_argument = click.argument("name", type=shared.Registered("dataset"))


def dataset_command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the name and the options of a data set, and the shared options, to a command."""
    parts = (name_argument, options, shared.data_dir, shared.plugin_files, shared.as_json, shared.debug)
    for part in reversed((*parts, click.pass_context)):
        function = part(function)
    return function


@click.group(epilog=EPILOG)
def command() -> None:
    """List, prepare and verify data sets, and show the folders that are searched."""


@command.command("list")
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def list_(context: click.Context, *, data_dir: Path | None, as_json: bool) -> None:
    """List every data set: where it is, in which form, how complete, under which license.

    Nothing is decoded or downloaded.
    """
    plugins, folders = _plugins_and_folders(context, data_dir)

    from mamlbench.cli.show import working
    from mamlbench.runner.datasets.dataset_status import list_datasets

    with working("Searching"):
        statuses = list_datasets(plugins, folders)
    if as_json:
        click.echo(json.dumps([asdict(status) for status in statuses], indent=1))
        return
    _show_rows(("data set", "found", "amount", "complete", "prepared", "license"), map(_status_row, statuses))


@command.command()
@dataset_command
def prepare(
    context: click.Context, *, name: str, options: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> None:
    """Decode a data set into the cache, once; runs that use it then start within a second."""
    plugins, folders = _plugins_and_folders(context, data_dir)
    dataset_options = shared.parse_options(options)

    from mamlbench.progress.preparation import preparation
    from mamlbench.runner.datasets.dataset_status import prepare_dataset

    start = time.monotonic()
    with preparation() as progress:
        status = prepare_dataset(name, dataset_options, plugins, folders, progress)
    seconds = time.monotonic() - start
    if as_json:
        click.echo(json.dumps({**asdict(status), "seconds": seconds}, indent=1))
        return
    _show_rows(("property", "value"), _preparation_rows(status, folders, seconds))


@command.command()
@dataset_command
def verify(
    context: click.Context, *, name: str, options: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> ExitCode:
    """Decode a data set again and check it; exit code 1 if a check fails.

    It names all damaged images. The splits must share no class and have the published classes, and the cache must equal
    the decoded files. Images that occur twice are counted.
    """
    plugins, folders = _plugins_and_folders(context, data_dir)
    dataset_options = shared.parse_options(options)

    from mamlbench.progress.preparation import preparation
    from mamlbench.runner.datasets.verify import verify_dataset

    with preparation() as progress:
        verification = verify_dataset(name, dataset_options, plugins, folders, progress)
    if as_json:
        click.echo(json.dumps({**asdict(verification), "broken": verification.broken}, indent=1))
    else:
        _show_verification(verification)
    return ExitCode.REGRESSION if verification.broken else ExitCode.OK


@command.command()
@shared.data_dir
@shared.as_json
@shared.debug
@click.pass_context
def where(context: click.Context, *, data_dir: Path | None, as_json: bool) -> None:
    """Show the folders that are searched for data sets, in this order, and the files in the cache folder."""
    _, folders = _plugins_and_folders(context, data_dir)
    files = _cached_files(folders.cache)
    if as_json:
        searched = [{"path": str(path), "reason": reason, "exists": path.is_dir()} for reason, path in folders.data]
        cached = [{"path": str(path), "bytes": size} for path, size in files]
        click.echo(json.dumps({"searched": searched, "cache": str(folders.cache), "files": cached}, indent=1))
        return
    total = sum(size for _, size in files)
    _show_rows(
        ("folder", "reason", "state"),
        (
            *((path, reason, "exists" if path.is_dir() else "does not exist") for reason, path in folders.data),
            (folders.cache, "cache (MAMLBENCH_CACHE sets another)", f"{len(files)} files, {total / 1e6:,.1f} MB"),
            *(
                (path, "prepared or downloaded", f"{size / 1e6:,.1f} MB")
                for path, size in files
                if path.suffix != ".json"
            ),
        ),
    )
    if not folders.data:
        click.echo("No folder is searched: name one with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml.")


def _plugins_and_folders(context: click.Context, data_dir: Path | None) -> tuple[Plugins, Folders]:
    from mamlbench.user_config import folders

    session = session_of(context)
    return session.plugins, folders(session.config, data_dir=data_dir)


def _cached_files(cache: Path) -> list[tuple[Path, int]]:
    """Files in the cache folder with their sizes in bytes, by name."""
    return [(path, path.stat().st_size) for path in sorted(cache.rglob("*")) if path.is_file()]


def _show_rows(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import table
    from mamlbench.progress.console import console

    shown = table(*columns)
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row))
    console().print(shown)


def _status_row(status: DatasetStatus) -> tuple[str, ...]:
    license = status.info.license if status.info else ""
    if status.state == "broken":
        return (status.name, f"broken: {status.detail}", "", "", "", license)
    copy = status.local_copy
    if copy is None:
        return (status.name, "no", "", "", "", license)
    location = f"{copy.form}, in '{copy.location}'" if copy.location else copy.form
    complete = f"subset ({copy.subset})" if copy.subset else "yes" if copy.amount else ""
    return (status.name, location, copy.amount, complete, "yes" if copy.prepared else "no", license)


def _preparation_rows(status: DatasetStatus, folders: Folders, seconds: float) -> Iterable[tuple[Any, ...]]:
    assert status.local_copy is not None
    subset = status.local_copy.subset
    yield "data set", status.name
    yield "form", status.local_copy.form
    yield "complete", f"no, a subset: {subset}" if subset else "yes, as far as is known"
    for name, split in status.splits.items():
        if split.images:
            yield name, f"{split.images:,} images of {len(split.classes):,} classes"
    yield from (("note", note) for note in status.notes)
    yield "content hash", status.content_hash
    yield "cache", folders.cache
    yield "took", f"{seconds:.1f} s"


def _show_verification(verification: DatasetVerification) -> None:
    marks = {True: "ok", False: "BROKEN", None: ""}
    rows = ((check.name, marks[check.ok], check.result) for check in verification.checks)
    _show_rows(("check", "", "result"), rows)
    for name in verification.damaged:
        click.echo(f"Damaged: {name}")

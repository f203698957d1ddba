"""``mamlbench data``: what data sets there are, where they lie, whether they are whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode

if TYPE_CHECKING:
    from mamlbench.api import LocalCopy
    from mamlbench.plugin import Plugins
    from mamlbench.run_spec import Folders
    from mamlbench.runner.datasets.open_dataset import Listed, Prepared
    from mamlbench.runner.datasets.verify import Verification

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


def on_one_set(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the name of a data set, its options and what every command has."""
    parts = (name_argument, options, shared.data_dir, shared.plugin_files, shared.as_json, shared.debug)
    for part in reversed((*parts, click.pass_context)):
        function = part(function)
    return function


@click.group(epilog=EPILOG)
def command() -> None:
    """List, prepare and verify data sets, and say where they lie."""


@command.command("list")
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def list_(context: click.Context, *, data_dir: Path | None, as_json: bool) -> None:
    """List every data set: whether it is found, in which form, how complete, under which license.

    Nothing is decoded or downloaded for it.
    """
    plugins, places = _surroundings(context, data_dir)

    from mamlbench.cli.show import working
    from mamlbench.runner.datasets.open_dataset import list_datasets

    with working("Looking"):
        listed = list_datasets(plugins, places)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in listed], indent=1))
        return
    _show_rows(("data set", "found", "how much", "complete", "prepared", "license"), map(_listed, listed))


@command.command()
@on_one_set
def prepare(
    context: click.Context, *, name: str, options: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> None:
    """Decode a data set into the cache, once; a run that needs it starts in a second from then on."""
    plugins, places = _surroundings(context, data_dir)
    given = shared.parse_options(options)

    from mamlbench.cli.progress import preparation
    from mamlbench.runner.datasets.open_dataset import prepare_dataset

    with preparation() as progress:
        prepared = prepare_dataset(name, given, plugins, places, progress)
    if as_json:
        click.echo(json.dumps(asdict(prepared), indent=1))
        return
    _show_rows(("what", "found"), _prepared(prepared, places))


@command.command()
@on_one_set
def verify(
    context: click.Context, *, name: str, options: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> ExitCode:
    """Decode a data set again and check it; exit code 1 where something is broken.

    All damaged images are named, the splits must share no class and have the published classes, the prepared copy
    must be what the files decode to. Images that occur twice are counted.
    """
    plugins, places = _surroundings(context, data_dir)
    given = shared.parse_options(options)

    from mamlbench.cli.progress import preparation
    from mamlbench.runner.datasets.verify import verify_dataset

    with preparation() as progress:
        found = verify_dataset(name, given, plugins, places, progress)
    if as_json:
        click.echo(json.dumps({**asdict(found), "broken": found.broken}, indent=1))
    else:
        _show_verification(found)
    return ExitCode.REGRESSION if found.broken else ExitCode.OK


@command.command()
@shared.data_dir
@shared.as_json
@shared.debug
@click.pass_context
def where(context: click.Context, *, data_dir: Path | None, as_json: bool) -> None:
    """Show the folders that are searched for data sets, in this order, and what the cache folder holds."""
    from mamlbench.user_config import folders

    places = folders(session_of(context).project, data_dir=data_dir)
    files = _kept(places.cache)
    if as_json:
        searched = [{"path": str(path), "reason": reason, "there": path.is_dir()} for reason, path in places.data]
        kept = [{"path": str(path), "bytes": size} for path, size in files]
        click.echo(json.dumps({"searched": searched, "cache": str(places.cache), "kept": kept}, indent=1))
        return
    total = sum(size for _, size in files)
    _show_rows(
        ("folder", "why", "state"),
        (
            *((path, reason, "there" if path.is_dir() else "not there") for reason, path in places.data),
            (places.cache, "cache (MAMLBENCH_CACHE sets another)", f"{len(files)} files, {total / 1e6:,.1f} MB"),
            *(
                (path, "prepared or downloaded", f"{size / 1e6:,.1f} MB")
                for path, size in files
                if path.suffix != ".json"
            ),
        ),
    )
    if not places.data:
        click.echo("No folder is searched: name one with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml.")


def _surroundings(context: click.Context, data_dir: Path | None) -> tuple[Plugins, Folders]:
    from mamlbench.user_config import folders

    session = session_of(context)
    return session.plugins, folders(session.project, data_dir=data_dir)


def _kept(cache: Path) -> list[tuple[Path, int]]:
    """Files in the cache folder with their sizes in bytes, by name."""
    return [(path, path.stat().st_size) for path in sorted(cache.rglob("*")) if path.is_file()]


def _show_rows(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import console, table

    shown = table(*columns)
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row))
    console().print(shown)


def _listed(each: Listed) -> tuple[str, ...]:
    license = each.info.license if each.info else ""
    if each.error:
        return (each.name, f"broken: {each.error}", "", "", "", license)
    if each.finding is None:
        return (each.name, "no", "", "", "", license)
    return (
        each.name,
        _where(each.finding),
        each.finding.amount,
        _complete(each.finding),
        "yes" if each.finding.prepared else "no",
        license,
    )


def _where(finding: LocalCopy) -> str:
    return f"{finding.form}, in '{finding.location}'" if finding.location else finding.form


def _complete(finding: LocalCopy) -> str:
    return f"subset ({finding.subset})" if finding.subset else "yes" if finding.amount else ""


def _prepared(prepared: Prepared, places: Folders) -> Iterable[tuple[Any, ...]]:
    yield "data set", prepared.name
    yield "form", prepared.origin
    yield "complete", f"no, a subset: {prepared.subset}" if prepared.subset else "yes, as far as is known"
    for split, count in prepared.images.items():
        yield split, f"{count:,} images of {prepared.classes[split]:,} classes"
    yield "content hash", prepared.content_hash
    yield "cache", places.cache
    yield "took", f"{prepared.seconds:.1f} s"


def _show_verification(found: Verification) -> None:
    marks = {True: "ok", False: "BROKEN", None: ""}
    _show_rows(("check", "", "found"), ((check.what, marks[check.ok], check.said) for check in found.checks))
    for name in found.damaged:
        click.echo(f"Damaged: {name}")

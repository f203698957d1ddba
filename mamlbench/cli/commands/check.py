"""``mamlbench check``: the contract kit on a tiny task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ExitCode, NothingToDoError
from mamlbench.plugin import Entry

if TYPE_CHECKING:
    from mamlbench.cli.session import Session
    from mamlbench.testing.check_report import Report

EPILOG = """\b
Examples:
  mamlbench check maml
  mamlbench check mine.py                    everything that the file registers
  mamlbench check reptile -o inner_optimizer_state=persistent
  mamlbench check omniglot --data-dir DIR
  mamlbench check --all"""

SHOWN = {"passed": "passed", "failed": "[bold red]FAILED[/]", "skipped": "[dim]skipped[/]"}


@click.command(epilog=EPILOG)
@click.argument("target", required=False, metavar="[NAME|FILE.py]", type=shared.Registered())
@click.option("--all", "everything", is_flag=True, help="Check all that is registered.")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of what is checked; may be repeated.",
)
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    *,
    target: str | None,
    everything: bool,
    options: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
) -> ExitCode:
    """Hold an algorithm, data set, backbone, metric or sampler to its contract, on a task that takes seconds.

    Exits with 1 where a promise is not kept, and with 5 where a data set is not here to be checked.
    """
    if (target is None) != everything:
        raise click.UsageError("Say what to check: a name, a file, or --all.")
    wanted = shared.parse_options(options)
    if everything and wanted:
        raise click.UsageError("-o goes with one name or file, not with --all.")
    session = session_of(context)
    entries = _entries(session, target)

    from mamlbench.api import DataPaths
    from mamlbench.testing import CHECKS
    from mamlbench.testing.check_report import check_entry
    from mamlbench.user_config import folders

    entries = [entry for entry in entries if entry.kind in CHECKS]
    if not entries:
        raise NothingToDoError(f"There are no checks for what '{target}' is.")
    where = folders(session.project, data_dir=data_dir)
    paths = DataPaths(folders=where.data, cache=where.cache, allow_download=not everything)
    reports = []
    for entry in entries:
        report = check_entry(entry, CHECKS[entry.kind], _own(wanted, entry.kind), paths)
        reports.append(report)
        if not as_json:
            _show(report)
    if as_json:
        click.echo(json.dumps([_plain(report) for report in reports], indent=1))
    return _exit_code(reports, everything=everything)


def _entries(session: Session, target: str | None) -> list[Entry]:
    """What is to be checked. Raises ConfigError for an unknown name, NothingToDoError for a file without plugins."""
    if target is None:
        return session.plugins.registry.entries()
    path = Path(target)
    if path.suffix == ".py":
        session.given_plugins += (path,)
        origin = str(path.resolve())
        entries = [entry for entry in session.plugins.registry.entries() if entry.origin == origin]
        if not entries:
            raise NothingToDoError(f"'{path}' registers no algorithm, data set, backbone, metric or sampler.")
        return entries
    return session.plugins.registry.find_all(target)


def _own(wanted: dict[str, str], kind: str) -> dict[str, str]:
    """Options by their own names: 'dataset.rotations' is 'rotations' where a data set is checked."""
    return {name.removeprefix(f"{kind}."): value for name, value in wanted.items()}


def _exit_code(reports: Sequence[Report], *, everything: bool) -> ExitCode:
    """A gate that cannot measure must not look like one that passed."""
    if any(report.counts["failed"] for report in reports):
        return ExitCode.REGRESSION
    if not everything and any(report.data_missing for report in reports):
        return ExitCode.NOTHING
    return ExitCode.OK


def _plain(report: Report) -> dict[str, Any]:
    entry = report.entry
    outcomes = [asdict(outcome) for outcome in report.outcomes]
    return {"kind": entry.kind, "name": entry.name, "origin": entry.origin, "outcomes": outcomes}


def _show(report: Report) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import console, table

    rows = table("check", "outcome", "what is promised, or what was found")
    said: set[str] = set()
    for outcome in report.outcomes:
        text = outcome.found or outcome.promise
        rows.add_row(outcome.check, SHOWN[outcome.status], "as above" if text in said else escape(text))
        said.add(text)
        if outcome.hint:
            rows.add_row("", "", f"[dim]Hint:[/] {escape(outcome.hint)}")
    out = console()
    out.print(f"[bold]{report.entry.kind} {escape(report.entry.name)}[/] (from {escape(report.entry.origin)})")
    out.print(rows)
    told = ", ".join(f"{report.counts[status]} {status}" for status in ("passed", "failed", "skipped"))
    out.print(f"{escape(report.entry.name)}: {told} in {report.seconds:.1f} s\n", highlight=False)

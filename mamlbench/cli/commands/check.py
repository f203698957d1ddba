"""``mamlbench check``: run the contract checks on a tiny task."""

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
    from mamlbench.testing.check_report import CheckReport

EPILOG = """\b
Examples:
  mamlbench check maml
  mamlbench check mine.py                    all plugins that the file registers
  mamlbench check reptile -o inner_optimizer_state=persistent
  mamlbench check omniglot --data-dir DIR
  mamlbench check --all"""

STATUS_TEXT = {"passed": "passed", "failed": "[bold red]FAILED[/]", "skipped": "[dim]skipped[/]"}


@click.command(epilog=EPILOG)
@click.argument("target", required=False, metavar="[NAME|FILE.py]", type=shared.Registered())
@click.option("--all", "everything", is_flag=True, help="Check every registered plugin.")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the plugin under test; may be repeated.",
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
    """Check that an algorithm, data set, backbone, metric or sampler meets its contract, on a tiny task.

    Exits with 1 if a check fails, and with 5 if a data set is missing and cannot be checked.
    """
    if (target is None) != everything:
        raise click.UsageError("Name a plugin or a file to check, or use --all.")
    option_values = shared.parse_options(options)
    if everything and option_values:
        raise click.UsageError("-o can be combined with one name or file, not with --all.")
    session = session_of(context)
    entries = _entries(session, target)

    from mamlbench.api import DataPaths
    from mamlbench.testing import CHECKS
    from mamlbench.testing.check_report import check_entry
    from mamlbench.user_config import folders

    entries = [entry for entry in entries if entry.kind in CHECKS]
    if not entries:
        raise NothingToDoError(f"There are no checks for the kind of plugin that '{target}' is.")
    locations = folders(session.config, data_dir=data_dir)
    paths = DataPaths(folders=locations.data, cache=locations.cache, allow_download=not everything)
    reports = []
    for entry in entries:
        report = check_entry(entry, CHECKS[entry.kind], _own_options(option_values, entry.kind), paths)
        reports.append(report)
        if not as_json:
            _show(report)
    if as_json:
        click.echo(json.dumps([_plain(report) for report in reports], indent=1))
    return _exit_code(reports, everything=everything)


def _entries(session: Session, target: str | None) -> list[Entry]:
    """Return the plugins to check.

    Raises ConfigError for an unknown name, NothingToDoError for a file without plugins.
    """
    if target is None:
        return _checkable(session.plugins.registry.entries())
    path = Path(target)
    if path.suffix == ".py":
        session.plugin_files += (path,)
        origin = str(path.resolve())
        entries = [entry for entry in session.plugins.registry.entries() if entry.origin == origin]
        if not entries:
            raise NothingToDoError(f"'{path}' registers no algorithm, data set, backbone, metric or sampler.")
        return _checkable(entries)
    named = session.plugins.registry.find_all(target)
    entries = _checkable(named)
    if not entries:
        raise NothingToDoError(f"'{named[0].name}' stands for many: write a name in place of {named[0].placeholder}.")
    return entries


def _checkable(entries: Sequence[Entry]) -> list[Entry]:
    """Leave out families of names: only a member can be built and checked."""
    return [entry for entry in entries if not entry.placeholder]


def _own_options(values: dict[str, str], kind: str) -> dict[str, str]:
    """Remove the kind from option names: for a data set, 'dataset.rotations' is 'rotations'."""
    return {name.removeprefix(f"{kind}."): value for name, value in values.items()}


def _exit_code(reports: Sequence[CheckReport], *, everything: bool) -> ExitCode:
    if any(report.counts["failed"] for report in reports):
        return ExitCode.REGRESSION
    if not everything and any(report.data_missing for report in reports):  # skipped checks are not a pass
        return ExitCode.NOTHING
    return ExitCode.OK


def _plain(report: CheckReport) -> dict[str, Any]:
    entry = report.entry
    results = [asdict(result) for result in report.results]
    return {"kind": entry.kind, "name": entry.name, "origin": entry.origin, "results": results}


def _show(report: CheckReport) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import table
    from mamlbench.progress.console import console

    rows = table("check", "result", "requirement, or why it failed or was skipped")
    shown: set[str] = set()
    for result in report.results:
        text = result.message or result.requirement
        rows.add_row(result.check, STATUS_TEXT[result.status], "as above" if text in shown else escape(text))
        shown.add(text)
        if result.hint:
            rows.add_row("", "", f"[dim]Hint:[/] {escape(result.hint)}")
    out = console()
    out.print(f"[bold]{report.entry.kind} {escape(report.entry.name)}[/] (from {escape(report.entry.origin)})")
    out.print(rows)
    counts = ", ".join(f"{report.counts[status]} {status}" for status in ("passed", "failed", "skipped"))
    out.print(f"{escape(report.entry.name)}: {counts} in {report.seconds:.1f} s\n", highlight=False)

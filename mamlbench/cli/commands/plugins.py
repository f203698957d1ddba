"""``mamlbench plugins``: list plugins and their errors."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import one_line


@click.command()
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Show installed and local plugins: origin, version, what they provide, and errors of broken ones."""
    reports = session_of(context).plugins_with_errors(quiet=True).reports
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports], indent=1))
        return

    from mamlbench.cli.show import table
    from mamlbench.progress.console import console

    rows = table("plugin", "from", "version", "provides")
    for report in reports:
        broken = f"[bold red]broken[/] {_escape(report.error)}"
        provides = broken if report.error else _escape(", ".join(report.provides))
        rows.add_row(_escape(report.name), _escape(report.origin), _escape(report.version), provides)
    console().print(rows)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(one_line(text))

"""``mamlbench list``: list registered names."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, did_you_mean, one_line
from mamlbench.plugin import KINDS, SUITE

EPILOG = """\b
Examples:
  mamlbench list
  mamlbench list algorithms"""


@click.command(epilog=EPILOG)
@click.argument(
    "kind", required=False, metavar="[algorithms|datasets|backbones|samplers|metrics|trackers|launchers|peers|suites]"
)
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(context: click.Context, *, kind: str | None, as_json: bool) -> None:
    """List what is registered: algorithms, data sets, metrics and all other kinds of plugins, and suites."""
    kinds = (*KINDS, SUITE)
    if kind is not None and kind.removesuffix("s") not in kinds:
        raise ConfigError(f"There is no kind '{kind}'.{did_you_mean(kind, [f'{name}s' for name in kinds])}")
    plugins = session_of(context).plugins_with_errors()
    listed_kinds = kinds if kind is None else (kind.removesuffix("s"),)
    entries = [entry for name in listed_kinds for entry in plugins.registry.entries(name)]
    if as_json:
        shown = [{**asdict(entry), "target": str(entry.target)} for entry in entries]
        click.echo(json.dumps(shown, indent=1))
        return

    from rich.markup import escape

    from mamlbench.cli.show import console, table

    rows = table("kind", "name", "summary", "from")
    for kind_name in dict.fromkeys(entry.kind for entry in entries):
        for index, entry in enumerate(entry for entry in entries if entry.kind == kind_name):
            cells = ("" if index else kind_name, entry.name, entry.summary, entry.origin)
            rows.add_row(*(escape(one_line(cell)) for cell in cells))
        rows.add_section()
    console().print(rows)

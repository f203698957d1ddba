"""``mamlbench list``: list registered names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, did_you_mean, one_line
from mamlbench.plugin import FILES, KINDS, Entry, Plugins
from mamlbench.plugin.reproductions import Reproducible, read_reproductions

SYSTEM = "system"

EPILOG = """\b
Examples:
  mamlbench list
  mamlbench list algorithms"""


@click.command(epilog=EPILOG)
@click.argument(
    "kind",
    required=False,
    metavar="[algorithms|datasets|backbones|samplers|metrics|trackers|launchers|peers|suites|speedruns|systems]",
)
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(context: click.Context, *, kind: str | None, as_json: bool) -> None:
    """List what is registered: algorithms, data sets, metrics and all other kinds of plugins, suites, and systems.

    A system is the code of a paper or a project, whose settings 'mamlbench reproduce' runs.
    """
    kinds = (*KINDS, *FILES, SYSTEM)
    if kind is not None and kind.removesuffix("s") not in kinds:
        raise ConfigError(f"There is no kind '{kind}'.{did_you_mean(kind, [f'{name}s' for name in kinds])}")
    plugins = session_of(context).plugins_with_errors()
    listed_kinds = kinds if kind is None else (kind.removesuffix("s"),)
    entries = [
        entry
        for name in listed_kinds
        for entry in (_systems(plugins) if name == SYSTEM else plugins.registry.entries(name))
    ]
    if as_json:
        shown = [{**asdict(entry), "target": str(entry.target)} for entry in entries]
        click.echo(json.dumps(shown, indent=1))
        return

    from rich.markup import escape

    from mamlbench.cli.show import table
    from mamlbench.progress.console import console

    rows = table("kind", "name", "summary", "from")
    for kind_name in dict.fromkeys(entry.kind for entry in entries):
        for index, entry in enumerate(entry for entry in entries if entry.kind == kind_name):
            cells = ("" if index else kind_name, entry.name, entry.summary, entry.origin)
            rows.add_row(*(escape(one_line(cell)) for cell in cells))
        rows.add_section()
    console().print(rows)


def _systems(plugins: Plugins) -> list[Entry]:
    """The systems whose numbers can be run again, each with its reproductions."""
    entries, _ = read_reproductions(plugins.registry.published)
    names: dict[str, list[Reproducible]] = {}
    for entry in entries:
        if entry.reproduction.system:
            names.setdefault(entry.reproduction.system, []).append(entry)
    return [
        Entry(SYSTEM, system, "", _summary(own), own[0].reproduction.name.partition("/")[0])
        for system, own in sorted(names.items())
    ]


def _summary(own: Sequence[Reproducible]) -> str:
    """How many numbers of a system can be run again, and the mistakes that these runs repeat."""
    mistakes = dict.fromkeys(entry.reproduction.mistake for entry in own if entry.reproduction.mistake)
    count = f"{len(own)} published number{'s' * (len(own) > 1)} to run again"
    return "; ".join((count, *mistakes))

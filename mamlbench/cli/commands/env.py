"""``mamlbench env``: the environment, for bug reports."""

from __future__ import annotations

import json
from typing import Any

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of


@click.command()
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Describe this machine, its software and the folders in use. Include the output in bug reports."""
    session = session_of(context)

    from mamlbench.runner.device import bf16_support, resolve_device
    from mamlbench.runner.environment import run_environment
    from mamlbench.user_config import folders

    device = resolve_device("auto")
    locations = folders(session.config)
    environment = run_environment(str(device), session.plugins_with_errors())
    properties: dict[str, Any] = {
        **environment.model_dump(exclude={"threads", "allocator"}),
        "device": str(device),
        "bf16": bf16_support(device),
        "data": [f"{path} ({reason})" for reason, path in locations.data],
        "cache": str(locations.cache),
        "results": str(locations.results),
    }
    if as_json:
        click.echo(json.dumps(properties, indent=1))
        return

    from rich.markup import escape

    from mamlbench.cli.show import table
    from mamlbench.progress.console import console

    rows = table("property", "value")
    for name, value in properties.items():
        rows.add_row(name.replace("_", " "), escape(_text(value)) or "-")
    console().print(rows)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {version}" for key, version in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)

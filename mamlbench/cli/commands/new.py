"""``mamlbench new``: generate a plugin to start from."""

from __future__ import annotations

from pathlib import Path

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError
from mamlbench.scaffold import KINDS, package_files, plugin_names_for, single_file, write_files

EPILOG = """\b
Examples:
  mamlbench new algorithm my-method           then: mamlbench run --plugin my_method.py --algo my-method
  mamlbench new dataset birds --output plugins
  mamlbench new algorithm my-method --package"""


@click.command(epilog=EPILOG)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option(
    "--package", is_flag=True, help="Write a distribution with pyproject.toml, entry point, tests and a CI file."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Folder to write into.  [default: the current one]",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@shared.plugin_files
@shared.debug
@click.pass_context
def command(context: click.Context, *, kind: str, name: str, package: bool, output: Path, force: bool) -> None:
    """Write a complete plugin, to be changed into yours."""
    names = plugin_names_for(name)
    registered = [
        entry for entry in session_of(context).plugins_with_errors().registry.entries(kind) if entry.name == name
    ]
    if registered and not force:
        raise ConfigError(f"{kind} '{name}' is already registered by {registered[0].origin}. Choose another name.")
    texts = package_files(kind, names) if package else single_file(kind, names)
    paths = write_files(texts, output, force=force)
    for path in paths:
        click.echo(f"Written: {path}")
    if package:
        click.echo(f"Next: pip install -e '{output / name}[test]', then mamlbench check {name}")
    else:
        click.echo(f"Next: mamlbench check {paths[0]}, then mamlbench {_run(kind, name)} --plugin {paths[0]}")


def _run(kind: str, name: str) -> str:
    return f"run --algo {name}" if kind == "algorithm" else f"run --algo maml --{kind} {name}"

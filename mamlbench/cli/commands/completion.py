"""``mamlbench completion``: shell completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mamlbench.cli import shared_options as shared

EPILOG = """\b
Examples:
  eval "$(mamlbench completion bash)"                                    in ~/.bashrc
  eval "$(mamlbench completion zsh)"                                     in ~/.zshrc
  mamlbench completion fish > ~/.config/fish/completions/mamlbench.fish"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@shared.debug
@click.pass_context
def command(context: click.Context, *, shell: str) -> None:
    """Print the completion script of a shell, for commands, options, and names of algorithms, data sets and records."""
    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root()
    click.echo(kind(root.command, {}, "mamlbench", "_MAMLBENCH_COMPLETE").source())

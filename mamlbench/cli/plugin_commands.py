"""Commands that plugins add; one whose name is taken is left out, with a warning."""

from __future__ import annotations

from collections.abc import Container

import click

from mamlbench.errors import one_line
from mamlbench.plugin import Plugins


def plugin_commands(plugins: Plugins, taken: Container[str]) -> tuple[dict[str, click.Command], list[str]]:
    """Return the plugins' commands by name, and one sentence for each plugin that failed or asked for a taken name.

    Args:
        plugins: the loaded plugins.
        taken: names of built-in commands.
    """
    group = _FirstWins("plugins", taken)
    problems = list(plugins.notify("mamlbench_add_commands", cli=group))
    return dict(group.commands), problems + group.refused


class _FirstWins(click.Group):
    """A group to which plugins add commands, each name once."""

    def __init__(self, name: str, taken: Container[str]) -> None:
        super().__init__(name)
        self._taken = taken
        self.refused: list[str] = []

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, unless its name is taken."""
        key = name or cmd.name or ""
        if key in self._taken or key in self.commands:
            whose = "a built-in command has" if key in self._taken else "another plugin's command has"
            module = one_line(getattr(cmd.callback, "__module__", "a plugin"))
            self.refused.append(f"Command '{one_line(key)}' of {module} is left out: {whose} the same name.")
        else:
            super().add_command(cmd, name)

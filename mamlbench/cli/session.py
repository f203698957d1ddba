"""The session of one call: configuration, plugins, and whether to show tracebacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import click

from mamlbench.cli.logs import LogOutput
from mamlbench.plugin import Plugins, load_plugins
from mamlbench.user_config import UserConfig, find_user_config, plugin_files


@dataclass
class Session:
    """One call of the command line; configuration and plugins are loaded on first use."""

    debug: bool = False
    logs: LogOutput = field(default_factory=LogOutput)
    plugin_files: tuple[Path, ...] = ()
    runs_plugin_command: bool = False
    """whether the command is one that a plugin added"""
    _loaded: dict[tuple[Path, ...], Plugins] = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)

    @cached_property
    def config(self) -> UserConfig:
        """The nearest ``mamlbench.toml``, or an empty configuration."""
        return find_user_config(Path.cwd())

    @property
    def plugins(self) -> Plugins:
        """Installed plugins, the configured files and those of ``--plugin``.

        A broken plugin is named on stderr and left out; a broken file of ``--plugin`` raises ConfigError.
        """
        return self.plugins_with(())

    def plugins_with(self, files: tuple[Path, ...]) -> Plugins:
        """Load these files too, which a suite names; a broken one raises ConfigError, as one of ``--plugin`` does."""
        loaded = self._load(files)
        loaded.require((*self.plugin_files, *files))
        self.warn(loaded.failures)
        return loaded

    def plugins_with_errors(self, *, quiet: bool = False) -> Plugins:
        """Load plugins for listings: a broken one is named on stderr, unless ``quiet``, and never raises an error."""
        loaded = self._load(())
        self.warn([] if quiet else loaded.failures)
        return loaded

    def _load(self, files: tuple[Path, ...]) -> Plugins:
        """Load plugins, each set of files once: importing a file twice would do twice what it does."""
        every = plugin_files(self.config, (*self.plugin_files, *files))
        if every not in self._loaded:
            self._loaded[every] = load_plugins(every, strict=False)
        return self._loaded[every]

    def blame(self, error: BaseException) -> str:
        """Return the plugin, of those loaded, whose code raised an error, with its source line; empty if none did."""
        return next(filter(None, (plugins.blame(error) for plugins in self._loaded.values())), "")

    def warn(self, sentences: Iterable[str]) -> None:
        """Print warnings to stderr, each once."""
        for sentence in sentences:
            if sentence not in self._shown:
                click.echo(f"Warning: {sentence}", err=True)
                self._shown.add(sentence)

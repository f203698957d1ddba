"""The session of one call: configuration, plugins, and whether to show tracebacks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mamlbench.plugin import Plugins, load_plugins
from mamlbench.user_config import UserConfig, find_user_config, plugin_files


@dataclass
class Session:
    """One call of the command line; configuration and plugins are loaded on first use."""

    debug: bool = False
    plugin_files: tuple[Path, ...] = ()

    @cached_property
    def config(self) -> UserConfig:
        """The nearest ``mamlbench.toml``, or an empty configuration."""
        return find_user_config(Path.cwd())

    @cached_property
    def plugins(self) -> Plugins:
        """Installed plugins, the configured files and those of ``--plugin``; a broken file raises ConfigError."""
        return load_plugins(self._files)

    def plugins_with_errors(self) -> Plugins:
        """Load plugins for listings: a broken file is reported with its error instead of raising one."""
        return load_plugins(self._files, strict=False)

    @property
    def _files(self) -> tuple[Path, ...]:
        return plugin_files(self.config, self.plugin_files)

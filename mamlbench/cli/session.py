"""What the commands of one call share: the project, the plugins, whether to show tracebacks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mamlbench.plugin import Plugins, load_plugins
from mamlbench.user_config import UserConfig, find_user_config, plugin_files


@dataclass
class Session:
    """One call of the command line; project and plugins are loaded when first asked for."""

    debug: bool = False
    given_plugins: tuple[Path, ...] = ()

    @cached_property
    def project(self) -> UserConfig:
        """The nearest ``mamlbench.toml``, or an empty project."""
        return find_user_config(Path.cwd())

    @cached_property
    def plugins(self) -> Plugins:
        """Installed plugins, the project's files and those of ``--plugin``; a broken file raises ConfigError."""
        return load_plugins(self._files)

    def plugins_with_errors(self) -> Plugins:
        """The same for listings: a broken file is a row with its error."""
        return load_plugins(self._files, strict=False)

    @property
    def _files(self) -> tuple[Path, ...]:
        return plugin_files(self.project, self.given_plugins)

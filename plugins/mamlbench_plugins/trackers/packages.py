"""Optional packages of trackers."""

from __future__ import annotations

from importlib.util import find_spec

from mamlbench.api import ConfigError


def require_package(package: str) -> None:
    """Raise ConfigError, with what to install, if a package is missing."""
    if find_spec(package) is None:
        raise ConfigError(f"The tracker '{package}' needs a package that is not installed: pip install {package}.")

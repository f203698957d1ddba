"""Packages that only one tracker needs."""

from __future__ import annotations

from importlib.util import find_spec

from mamlbench.errors import ConfigError


def require(package: str, extra: str) -> None:
    """Raise ConfigError, with what to install, where a package is missing."""
    if find_spec(package) is None:
        raise ConfigError(f"The tracker '{extra}' needs a package that is missing: pip install 'mamlbench[{extra}]'.")

"""Deriving module and class names from a plugin's name."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass

from mamlbench.errors import ConfigError

PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_LENGTH = 30
IMPORTED = frozenset({"mamlbench", "mamlbench_plugins", "numpy", "pydantic", "pytest", "torch"})
"""Modules that a plugin imports: a file of the same name in the current folder would shadow them."""


@dataclass(frozen=True)
class PluginNames:
    """The names of one plugin: ``my-method`` in commands, ``my_method`` as a module, ``MyMethod`` as a class."""

    name: str
    module: str
    cls: str


def plugin_names_for(name: str) -> PluginNames:
    """Derive the names. Raises ConfigError if ``name`` cannot be the name of a plugin and its module."""
    if not PATTERN.fullmatch(name) or len(name) > MAX_LENGTH:
        nearest = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-")
        hint = f" Did you mean '{nearest}'?" if PATTERN.fullmatch(nearest) and nearest != name else ""
        rule = f"use at most {MAX_LENGTH} lower-case letters and digits, in words joined by '-'"
        raise ConfigError(f"'{name}' is not a valid name: {rule}.{hint}")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in IMPORTED:
        raise ConfigError(
            f"A module called '{module}' would shadow another. Choose another name, such as '{name}-maml'."
        )
    return PluginNames(name, module, "".join(word.capitalize() for word in name.split("-")))

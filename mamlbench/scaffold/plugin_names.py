"""From the name that a user types to those of the module and the class."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass

from mamlbench.errors import ConfigError

PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30
TAKEN = frozenset({"mamlbench", "mamlbench_plugins", "numpy", "pydantic", "pytest", "torch"})
"""Modules that a plugin imports: a file of that name in the current folder would stand in their way."""


@dataclass(frozen=True)
class Names:
    """How one plugin is called: ``my-method`` in a command, ``my_method`` as a module, ``MyMethod`` as a class."""

    name: str
    module: str
    cls: str


def names_of(name: str) -> Names:
    """Derive the names. Raises ConfigError where ``name`` is none that can be typed, imported and registered."""
    if not PATTERN.fullmatch(name) or len(name) > LONGEST:
        nearest = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-")
        hint = f" Did you mean '{nearest}'?" if PATTERN.fullmatch(nearest) and nearest != name else ""
        rule = f"at most {LONGEST} lower-case letters and digits, in words joined by '-'"
        raise ConfigError(f"'{name}' is not a name: {rule}.{hint}")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in TAKEN:
        raise ConfigError(f"A module called '{module}' would stand in Python's way: try '{name}-maml' or the like.")
    return Names(name, module, "".join(word.capitalize() for word in name.split("-")))

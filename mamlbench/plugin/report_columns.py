"""Report columns registered by plugins: checked when registered, imported when first shown."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mamlbench.errors import did_you_mean

ColumnInput = Literal["record", "records"]
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class ReportColumn:
    """One column; the fields are the arguments of ``RegisterColumn``, and ``origin`` names the plugin."""

    name: str
    value: str | Callable[[Any], Any]
    heading: str
    unit: str
    lower_is_better: bool | None
    of: ColumnInput
    about: str
    measures_machine: bool
    origin: str

    def problem(self) -> str:
        """Return what is wrong with the arguments; empty if they are valid."""
        if not NAME.fullmatch(str(self.name)):
            return f"column '{self.name}': a name has only lower-case letters, digits and underscores"
        if not callable(self.value) and not all(str(self.value).partition(":")):
            return f"column '{self.name}': '{self.value}' is neither a function nor 'module:function'"
        if self.of not in get_args(ColumnInput):
            return f"column '{self.name}': of='{self.of}'.{did_you_mean(str(self.of), get_args(ColumnInput))}"
        return ""

    def function(self) -> Callable[[Any], Any]:
        """Return the function, imported now if it was registered by name. Raises whatever the import raises."""
        if not isinstance(self.value, str):
            return self.value
        module, _, name = self.value.partition(":")
        function: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
        return function

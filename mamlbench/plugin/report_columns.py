"""Columns of the comparison tables that plugins bring: what was registered, not yet looked at."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mamlbench.errors import did_you_mean

Of = Literal["record", "records"]
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class ReportColumn:
    """One column, as ``mamlbench_report_columns`` registers it."""

    name: str
    value: str | Callable[[Any], Any]
    heading: str
    unit: str
    lower_is_better: bool | None
    of: Of
    about: str
    measures_machine: bool
    origin: str

    def objective(self) -> str:
        """What is wrong with it; empty where nothing is."""
        if not NAME.fullmatch(str(self.name)):
            return f"column '{self.name}': a name is made of small letters, digits and underscores"
        if not callable(self.value) and not all(str(self.value).partition(":")):
            return f"column '{self.name}': '{self.value}' is neither a function nor 'module:function'"
        if self.of not in get_args(Of):
            return f"column '{self.name}': of='{self.of}'.{did_you_mean(str(self.of), get_args(Of))}"
        return ""

    def function(self) -> Callable[[Any], Any]:
        """The function itself, imported now where it was named. Raises whatever the import raises."""
        if not isinstance(self.value, str):
            return self.value
        module, _, name = self.value.partition(":")
        found: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
        return found

"""The kit run over registered names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mamlbench.api import DataPaths
from mamlbench.errors import ConfigError
from mamlbench.plugin import Entry
from mamlbench.runner.component_options import read_options
from mamlbench.testing.run_checks import Check, Outcome, Status, run_checks
from mamlbench.testing.subjects import subject_of


@dataclass(frozen=True)
class Report:
    """One registered name and how each check of its kind came out."""

    entry: Entry
    outcomes: list[Outcome]

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many passed, failed and were skipped."""
        return Counter(outcome.status for outcome in self.outcomes)

    @property
    def seconds(self) -> float:
        """Wall time of all checks."""
        return sum(outcome.seconds for outcome in self.outcomes)

    @property
    def data_missing(self) -> bool:
        """Whether what matters could not be checked, because the data set is not here."""
        return any(outcome.found.startswith("no data") for outcome in self.outcomes)


def check_entry(entry: Entry, checks: tuple[Check, ...], options: Mapping[str, Any], paths: DataPaths | None) -> Report:
    """Check one registered plugin. Raises ConfigError where it cannot be imported or an option is not one of its own.

    Args:
        entry: what is checked.
        checks: those of its kind.
        options: values that differ from the defaults, as text or as they are.
        paths: where a data set may lie.
    """
    plugin = entry.load()
    if options and not hasattr(plugin, "Options"):
        raise ConfigError(f"A {entry.kind} has no options.")
    validated = read_options(entry.kind, plugin, entry.name, options) if options else None
    given = {name: getattr(validated, name) for name in options}
    return Report(entry, run_checks(checks, subject_of(entry.kind, plugin, given, paths)))

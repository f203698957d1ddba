"""Running the checks on registered plugins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mamlbench.api import DataPaths
from mamlbench.errors import ConfigError
from mamlbench.plugin import Entry
from mamlbench.runner.component_options import read_options
from mamlbench.testing.checks import Check, CheckResult, Status, run_checks
from mamlbench.testing.subjects import subject_of


@dataclass(frozen=True)
class CheckReport:
    """The results of all checks on one registered plugin."""

    entry: Entry
    results: list[CheckResult]

    @property
    def counts(self) -> Mapping[Status, int]:
        """Number of checks by status."""
        return Counter(result.status for result in self.results)

    @property
    def seconds(self) -> float:
        """Wall time of all checks."""
        return sum(result.seconds for result in self.results)

    @property
    def data_missing(self) -> bool:
        """Whether checks were skipped because the data set is missing."""
        return any(result.message.startswith("no data") for result in self.results)


def check_entry(
    entry: Entry, checks: tuple[Check, ...], options: Mapping[str, Any], paths: DataPaths | None
) -> CheckReport:
    """Check one registered plugin. Raises ConfigError if it cannot be imported or an option is invalid.

    Args:
        entry: the registered plugin.
        checks: the checks of its kind.
        options: options that differ from the defaults, as strings or typed values.
        paths: locations of data sets.
    """
    plugin = entry.load()
    if options and not hasattr(plugin, "Options"):
        raise ConfigError(f"A {entry.kind} has no options.")
    validated = read_options(entry.kind, plugin, entry.name, options) if options else None
    typed = {name: getattr(validated, name) for name in options}
    return CheckReport(entry, run_checks(checks, subject_of(entry.kind, plugin, typed, paths)))

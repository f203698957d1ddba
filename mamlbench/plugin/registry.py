"""Registry of names: every name has a class, imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamlbench.errors import ConfigError, MissingDependencyError, did_you_mean, one_line
from mamlbench.interrupts import is_interrupt
from mamlbench.plugin.failure import code_of_name, explain_failure
from mamlbench.plugin.published_numbers import PublishedFile
from mamlbench.plugin.time_limit import watched
from mamlbench.run_spec.metric_names import find_metric

KINDS = ("algorithm", "dataset", "backbone", "sampler", "metric", "tracker", "launcher", "peer")
"""Kinds of classes that plugins register; the hook of a kind is ``mamlbench_register_<kind>s``."""

SUITE = "suite"
"""Kind of a suite (``mamlbench_register_suites``), which is the path of a TOML file and not a class."""

_BASES = {
    kind: ("mamlbench.api", base)
    for kind, base in zip(
        KINDS,
        ("Algorithm", "Dataset", "Backbone", "TaskSampler", "Metric", "Tracker", "Launcher", "Peer"),
        strict=True,
    )
}


@dataclass(frozen=True)
class Entry:
    """One registered name; ``origin`` is the distribution or the file of its plugin."""

    kind: str
    name: str
    target: str | type
    summary: str
    origin: str

    def load(self) -> type[Any]:
        """Import the class. Raises ConfigError if that fails or if the class is of another kind."""
        target = self.target if isinstance(self.target, type) else self._import(self.target)
        module, base_name = _BASES[self.kind]
        base = getattr(importlib.import_module(module), base_name)
        if not (isinstance(target, type) and issubclass(target, base)):
            raise ConfigError(
                f"{self.kind} '{self.name}' ({self.origin}) is not a subclass of mamlbench.api.{base_name}."
            )
        if self.kind == "metric" and getattr(target, "name", "") != self.name:
            raise ConfigError(
                f"metric '{self.name}' ({self.origin}) must have the same name = '{self.name}' in its class, so that a "
                "record says which metric a score is in."
            )
        return target

    def _import(self, path: str) -> Any:
        module, _, attribute = path.partition(":")
        title = f"{self.kind} '{one_line(self.name)}' ({one_line(self.origin)})"
        try:
            with watched(f"importing {title}"):
                return getattr(importlib.import_module(module), attribute)
        except MissingDependencyError as error:  # its message says how to install the library
            raise MissingDependencyError(f"{title}: {error}") from error
        except BaseException as error:  # importing a plugin may raise anything, or exit
            if is_interrupt(error):
                raise
            failure = explain_failure(error, code_of_name(module))
            raise ConfigError(f"{title} cannot be imported: {failure}") from error


class Registry:
    """All registered names by kind, names of optional packages, and files of published numbers."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in (*KINDS, SUITE)}
        self._install_hints: dict[str, str] = {}
        self.published: list[PublishedFile] = []

    def add_all(self, entries: Iterable[Entry]) -> None:
        """Add all of these names or none. Raises ValueError if a name is taken or a target is malformed."""
        extended = {kind: dict(names) for kind, names in self._entries.items()}
        for entry in entries:
            if not isinstance(entry.name, str) or not entry.name.strip():
                raise ValueError(f"the name {entry.name!r}, registered for {entry.kind}s, is no text")
            if entry.kind == SUITE:
                if not Path(str(entry.target)).is_file():
                    raise ValueError(f"target '{entry.target}' of suite '{entry.name}' is not a file")
            elif not isinstance(entry.target, type) and not all(str(entry.target).partition(":")):
                raise ValueError(f"target '{entry.target}' of {entry.kind} '{entry.name}' is not 'module:Class'")
            # One metric is found by any spelling of its name, so two spellings cannot be two metrics.
            spelled = find_metric(entry.name, extended["metric"]) if entry.kind == "metric" else None
            taken = extended[entry.kind].setdefault(spelled or entry.name, entry)
            if taken is not entry:
                raise ValueError(f"{entry.kind} '{entry.name}' is already registered by {taken.origin}")
        self._entries = extended

    def add_optional_packages(self, install_hints: dict[str, str]) -> None:
        """Add names that optional packages would register, each with how to install its package."""
        self._install_hints |= install_hints

    def names(self, kind: str) -> list[str]:
        """Registered names of one kind, sorted."""
        return sorted(self._entries[kind])

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Entries of one kind, or of all kinds that are classes."""
        kinds = KINDS if kind is None else (kind,)
        return [self._entries[kind][name] for kind in kinds for name in self.names(kind)]

    def entry(self, kind: str, name: str) -> Entry:
        """Return the entry of a name. Raises ConfigError with a similar name, or with how to install its package."""
        try:
            return self._entries[kind][name]
        except KeyError:
            raise self._unknown(f"Unknown {kind}", name, self._entries[kind]) from None

    def find_all(self, name: str) -> list[Entry]:
        """Return the entries of a name, of every kind. Raises as ``entry`` does if there is none."""
        entries = [entry for entry in self.entries() if entry.name == name]
        if not entries:
            raise self._unknown("Nothing is called", name, (entry.name for entry in self.entries()))
        return entries

    def _unknown(self, complaint: str, name: str, candidates: Iterable[str]) -> ConfigError:
        if name in self._install_hints:
            return MissingDependencyError(f"'{name}' is not installed. {self._install_hints[name]}")
        return ConfigError(f"{complaint} '{name}'.{did_you_mean(name, candidates)}")

    def load(self, kind: str, name: str) -> type[Any]:
        """Import the class of a name. Raises ConfigError as ``entry`` and ``Entry.load`` do."""
        return self.entry(kind, name).load()

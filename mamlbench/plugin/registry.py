"""Names of plugins and what they stand for, imported only when used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamlbench.errors import ConfigError, MissingDependencyError, did_you_mean
from mamlbench.plugin.published_numbers import PublishedFile

KINDS = ("algorithm", "dataset", "backbone", "sampler", "tracker", "launcher", "peer")
"""What can be registered; the hook for each is ``mamlbench_register_<kind>s``."""

SUITE = "suite"
"""Suites are registered as well (``mamlbench_register_suites``): by the path of their TOML file, not by a class."""

_BASES = {
    kind: ("mamlbench.api", base)
    for kind, base in zip(
        KINDS, ("Algorithm", "Dataset", "Backbone", "TaskSampler", "Tracker", "Launcher", "Peer"), strict=True
    )
}


@dataclass(frozen=True)
class Entry:
    """One registered name."""

    kind: str
    name: str
    target: str | type
    summary: str
    origin: str

    def load(self) -> type[Any]:
        """Import the class. Raises ConfigError where that fails or where it is not of the declared kind."""
        target = self.target if isinstance(self.target, type) else self._import(self.target)
        module, base_name = _BASES[self.kind]
        base = getattr(importlib.import_module(module), base_name)
        if not (isinstance(target, type) and issubclass(target, base)):
            raise ConfigError(
                f"{self.kind} '{self.name}' ({self.origin}) is not a subclass of mamlbench.api.{base_name}."
            )
        return target

    def _import(self, path: str) -> Any:
        module, _, attribute = path.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except MissingDependencyError as error:  # it says itself what to do
            raise MissingDependencyError(f"{self.kind} '{self.name}' ({self.origin}): {error}") from error
        except Exception as error:  # a plugin may raise anything while it is imported
            raise ConfigError(
                f"{self.kind} '{self.name}' ({self.origin}) cannot be imported: {type(error).__name__}: {error}"
            ) from error


class Registry:
    """All registered names by kind, and the files of published numbers."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in (*KINDS, SUITE)}
        self._elsewhere: dict[str, str] = {}
        self.published: list[PublishedFile] = []

    def add_all(self, entries: Iterable[Entry]) -> None:
        """Add all of these names or none. Raises ValueError where a name is taken or a target is malformed."""
        extended = {kind: dict(names) for kind, names in self._entries.items()}
        for entry in entries:
            if entry.kind == SUITE:
                if not Path(str(entry.target)).is_file():
                    raise ValueError(f"target '{entry.target}' of suite '{entry.name}' is not a file")
            elif not isinstance(entry.target, type) and not all(str(entry.target).partition(":")):
                raise ValueError(f"target '{entry.target}' of {entry.kind} '{entry.name}' is not 'module:Class'")
            taken = extended[entry.kind].setdefault(entry.name, entry)
            if taken is not entry:
                raise ValueError(f"{entry.kind} '{entry.name}' is already registered by {taken.origin}")
        self._entries = extended

    def add_elsewhere(self, known: dict[str, str]) -> None:
        """Remember of names that other packages bring how these are installed; what is registered goes before it."""
        self._elsewhere |= known

    def names(self, kind: str) -> list[str]:
        """Registered names of one kind, sorted."""
        return sorted(self._entries[kind])

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Entries of one kind, or of all kinds that are classes."""
        kinds = KINDS if kind is None else (kind,)
        return [self._entries[each][name] for each in kinds for name in self.names(each)]

    def entry(self, kind: str, name: str) -> Entry:
        """Find one name. Raises ConfigError with the nearest known name, or with how to install what brings it."""
        try:
            return self._entries[kind][name]
        except KeyError:
            raise self._missing(f"Unknown {kind}", name, self._entries[kind]) from None

    def called(self, name: str) -> list[Entry]:
        """Find a name of whatever kind. Raises as ``entry`` does."""
        found = [entry for entry in self.entries() if entry.name == name]
        if not found:
            raise self._missing("Nothing is called", name, (entry.name for entry in self.entries()))
        return found

    def _missing(self, complaint: str, name: str, known: Iterable[str]) -> ConfigError:
        if name in self._elsewhere:
            return MissingDependencyError(f"'{name}' is not installed. {self._elsewhere[name]}")
        return ConfigError(f"{complaint} '{name}'.{did_you_mean(name, known)}")

    def load(self, kind: str, name: str) -> type[Any]:
        """Import the class behind a name."""
        return self.entry(kind, name).load()

"""Names of plugins and what they stand for, imported only when used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mamlbench.errors import ConfigError, MissingDependencyError, did_you_mean
from mamlbench.plugin.published import PublishedFile

KINDS = ("algorithm", "dataset", "backbone", "sampler", "tracker", "peer")
"""What can be registered; the hook for each is ``mamlbench_register_<kind>s``."""

_BASES = {kind: ("mamlbench.api", base) for kind, base in zip(
    KINDS, ("Algorithm", "TaskSource", "Backbone", "TaskSampler", "Tracker", "Peer"), strict=True
)}  # fmt: skip


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
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
        self.published: list[PublishedFile] = []

    def add_all(self, entries: Iterable[Entry]) -> None:
        """Add all of these names or none. Raises ValueError where a name is taken or a target is malformed."""
        extended = {kind: dict(names) for kind, names in self._entries.items()}
        for entry in entries:
            if not isinstance(entry.target, type) and not all(str(entry.target).partition(":")):
                raise ValueError(f"target '{entry.target}' of {entry.kind} '{entry.name}' is not 'module:Class'")
            taken = extended[entry.kind].setdefault(entry.name, entry)
            if taken is not entry:
                raise ValueError(f"{entry.kind} '{entry.name}' is already registered by {taken.origin}")
        self._entries = extended

    def names(self, kind: str) -> list[str]:
        """Registered names of one kind, sorted."""
        return sorted(self._entries[kind])

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Entries of one kind, or of all kinds."""
        kinds = KINDS if kind is None else (kind,)
        return [self._entries[each][name] for each in kinds for name in self.names(each)]

    def entry(self, kind: str, name: str) -> Entry:
        """Find one name. Raises ConfigError with the nearest known name."""
        try:
            return self._entries[kind][name]
        except KeyError:
            raise ConfigError(f"Unknown {kind} '{name}'.{did_you_mean(name, self._entries[kind])}") from None

    def load(self, kind: str, name: str) -> type[Any]:
        """Import the class behind a name."""
        return self.entry(kind, name).load()

"""Registry of names: every name has a class, imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mamlbench.errors import ConfigError, MissingDependencyError, did_you_mean, one_line
from mamlbench.interrupts import is_interrupt
from mamlbench.plugin.failure import code_of_name, explain_failure
from mamlbench.plugin.name_family import NameFamily
from mamlbench.plugin.published_numbers import PublishedFile
from mamlbench.plugin.time_limit import watched
from mamlbench.run_spec.metric_names import find_metric

KINDS = ("algorithm", "dataset", "backbone", "sampler", "metric", "tracker", "launcher", "peer")
"""Kinds of classes that plugins register; the hook of a kind is ``mamlbench_register_<kind>s``."""

SUITE = "suite"
"""Kind of a suite (``mamlbench_register_suites``), which is the path of a TOML file and not a class."""

SPEEDRUN = "speedrun"
"""Kind of a speedrun's target (``mamlbench_register_speedruns``), which is the path of a TOML file."""

FILES = (SUITE, SPEEDRUN)
"""Kinds of files that plugins register by name."""

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
    """One registered name, or a family of names.

    Attributes:
        kind: what its class is, one of ``KINDS``.
        name: what users type; of a family, what is listed: ``torchvision:NAME``.
        target: ``"module:Class"``, or the class.
        summary: one line about it.
        origin: the distribution or the file of its plugin.
        placeholder: of a family, what stands for a member in its name: ``NAME``.
        member: of a name that belongs to a family, what follows the prefix: ``EuroSAT``.
    """

    kind: str
    name: str
    target: str | type
    summary: str
    origin: str
    placeholder: str = ""
    member: str = ""

    @property
    def prefix(self) -> str:
        """Of a family, what its names begin with, the colon included; else empty."""
        return self.name.removesuffix(self.placeholder) if self.placeholder else ""

    def of(self, member: str) -> Entry:
        """Return the entry of a member of a family."""
        return replace(self, name=f"{self.prefix}{member}", placeholder="", member=member)

    def load(self) -> type[Any]:
        """Import the class; of a family, the class that is registered.

        Raises ConfigError if that fails, if the class is of another kind, or if a family has no such member.
        """
        target = self._class()
        if not (self.placeholder or self.member):
            return target
        if not issubclass(target, NameFamily):
            raise ConfigError(
                f"{self.kind} '{self.name}' ({self.origin}) is a family of names, and not a subclass of "
                "mamlbench.api.NameFamily."
            )
        return self._guarded(lambda: target.of(self.member), target.__module__, "made") if self.member else target

    def _class(self) -> type[Any]:
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
        return self._guarded(lambda: getattr(importlib.import_module(module), attribute), module, "imported")

    def _guarded(self, action: Callable[[], Any], module: str, done: str) -> Any:
        """Call a plugin's code, which may raise anything or exit."""
        title = f"{self.kind} '{one_line(self.name)}' ({one_line(self.origin)})"
        try:
            with watched(f"importing {title}"):
                return action()
        except MissingDependencyError as error:  # its message says how to install the library
            raise MissingDependencyError(f"{title}: {error}") from error
        except BaseException as error:
            if is_interrupt(error):
                raise
            if self.member and isinstance(error, ConfigError):
                raise ConfigError(f"{self.kind} '{one_line(self.name)}': {error}") from error
            failure = explain_failure(error, code_of_name(module))
            raise ConfigError(f"{title} cannot be {done}: {failure}") from error


class Registry:
    """All registered names by kind, names of optional packages, and files of published numbers."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in (*KINDS, *FILES)}
        self._install_hints: dict[str, str] = {}
        self.published: list[PublishedFile] = []

    def add_all(self, entries: Iterable[Entry]) -> None:
        """Add all of these names or none. Raises ValueError if a name is taken or a target is malformed."""
        extended = {kind: dict(names) for kind, names in self._entries.items()}
        for entry in entries:
            if not isinstance(entry.name, str) or not entry.name.strip():
                raise ValueError(f"the name {entry.name!r}, registered for {entry.kind}s, is no text")
            if entry.placeholder and not _is_family(entry):
                raise ValueError(f"the family '{entry.name}' of {entry.kind}s is not PREFIX:MEMBER, with one colon")
            if entry.kind in FILES:
                if not Path(str(entry.target)).is_file():
                    raise ValueError(f"target '{entry.target}' of {entry.kind} '{entry.name}' is not a file")
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
        """Registered names of one kind, sorted; without families, whose names have no end."""
        return sorted(name for name, entry in self._entries[kind].items() if not entry.placeholder)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Entries of one kind, or of all kinds that are classes; a family is one entry."""
        kinds = KINDS if kind is None else (kind,)
        return [entry for kind in kinds for _, entry in sorted(self._entries[kind].items())]

    def entry(self, kind: str, name: str) -> Entry:
        """Return the entry of a name, also of one that belongs to a family.

        Raises ConfigError with a similar name, or with how to install its package.
        """
        entry = self._entries[kind].get(name) or self._member(kind, name)
        if entry is None:
            raise self._unknown(f"Unknown {kind}", name, self._entries[kind])
        if entry.placeholder:
            raise ConfigError(f"{kind} '{name}' stands for many: write a name in place of {entry.placeholder}.")
        return entry

    def _member(self, kind: str, name: str) -> Entry | None:
        """The entry of a name like ``torchvision:EuroSAT`` if its prefix is that of a family."""
        prefix, _, member = name.partition(":")
        family = next((entry for entry in self._entries[kind].values() if entry.prefix == f"{prefix}:"), None)
        return family.of(member) if family is not None and member.strip() else family

    def find_all(self, name: str) -> list[Entry]:
        """Return the entries of a name, of every kind; of a family as it is listed, the family.

        Raises as ``entry`` does if there is none.
        """
        by_kind = (self._entries[kind].get(name) or self._member(kind, name) for kind in KINDS)
        entries = [entry for entry in by_kind if entry is not None]
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


def _is_family(entry: Entry) -> bool:
    prefix = entry.prefix.removesuffix(":")
    return bool(prefix.strip()) and ":" not in prefix and entry.name == f"{prefix}:{entry.placeholder}"

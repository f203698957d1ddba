"""Errors that end in one clear sentence and a declared exit code, never in a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process exits with (see ``mamlbench --help``)."""

    OK = 0
    REGRESSION = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    NOTHING = 5
    RUN_FAILED = 6


class ConfigProblem(str):
    """A sentence about one thing that is wrong, and the key under which a user gave it, where that is known."""

    __slots__ = ("key",)

    def __new__(cls, text: str, key: str = "") -> ConfigProblem:
        problem = super().__new__(cls, text)
        problem.key = getattr(text, "key", "") or key
        return problem

    key: str


class MamlbenchError(Exception):
    """Base of every error that a user can cause and mend."""

    exit_code = ExitCode.USAGE


class ConfigError(MamlbenchError):
    """A name, a value or a combination that cannot be run; carries every problem found, not only the first."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class MissingDependencyError(ConfigError):
    """A plugin's library that is not installed; raised where the plugin is imported, it says how to install it."""


class DataError(MamlbenchError):
    """Data that is missing, damaged or too small for what was asked."""


class MissingDataError(DataError):
    """Data that is nowhere where it was looked for."""


class CacheError(DataError):
    """Prepared data that cannot be kept: the cache folder cannot be written, or is too full."""


class DamagedError(DataError):
    """Images that cannot be decoded; the message names the first ones, ``damaged`` all of them."""

    def __init__(self, damaged: Sequence[str], what: str = "image", mend: str = "replace them") -> None:
        self.damaged = tuple(damaged)
        plural = "s" if len(damaged) > 1 else ""
        super().__init__(
            f"{len(damaged):,} damaged {what}{plural}: {some(damaged)}. {mend[0].upper()}{mend[1:]} "
            "('mamlbench data verify NAME' names every one)."
        )


class RunFailedError(MamlbenchError):
    """A run that started and could not be finished: it diverged, or a plugin raised."""

    exit_code = ExitCode.RUN_FAILED


class DivergedError(RunFailedError):
    """The loss or a parameter became NaN or infinite."""


class NothingToDoError(MamlbenchError):
    """Nothing was run, or nothing can be compared."""

    exit_code = ExitCode.NOTHING


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or the known names when none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" Known: {', '.join(known)}." if known else ""


def some(names: Iterable[str], most: int = 10) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

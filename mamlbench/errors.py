"""Errors that end a command with one clear sentence and a documented exit code, never with a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code of the process (see ``mamlbench --help``)."""

    OK = 0
    REGRESSION = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    NOTHING = 5
    RUN_FAILED = 6


class ConfigProblem(str):
    """One sentence about an invalid setting, with the key of that setting if it is known.

    Args:
        text: the sentence; its own key, if it is a ConfigProblem, takes precedence.
        key: name of the setting; empty if unknown.
    """

    __slots__ = ("key",)

    def __new__(cls, text: str, key: str = "") -> ConfigProblem:
        problem = super().__new__(cls, text)
        problem.key = getattr(text, "key", "") or key
        return problem

    key: str


class MamlbenchError(Exception):
    """Base of all errors that a user can cause and correct."""

    exit_code = ExitCode.USAGE


class ConfigError(MamlbenchError):
    """An invalid name, value or combination.

    Args:
        *problems: one sentence for every problem, not only the first.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class MissingDependencyError(ConfigError):
    """A plugin's library is not installed; raised when the plugin is imported, it says how to install the library."""


class DataError(MamlbenchError):
    """Data are missing, damaged or too few for the run."""


class MissingDataError(DataError):
    """Data are in none of the folders that were searched."""


class CacheError(DataError):
    """Prepared data cannot be written, because the cache folder is not writable or the disk is full."""


class DamagedImagesError(DataError):
    """Some images cannot be decoded; the message names the first ones.

    Args:
        damaged: the names of all damaged images.
        what: what one of them is called.
        remedy: what the user can do, beginning with a verb.
    """

    def __init__(self, damaged: Sequence[str], what: str = "image", remedy: str = "replace them") -> None:
        self.damaged = tuple(damaged)
        plural = "s" if len(damaged) > 1 else ""
        super().__init__(
            f"{len(damaged):,} damaged {what}{plural}: {summarize_names(damaged)}. {remedy[0].upper()}{remedy[1:]} "
            "('mamlbench data verify NAME' lists all of them)."
        )


class RunFailedError(MamlbenchError):
    """A run started and could not be finished, because it diverged or a plugin raised an exception."""

    exit_code = ExitCode.RUN_FAILED


class DivergedError(RunFailedError):
    """The loss or a parameter became NaN or infinite."""


class RankLostError(RunFailedError):
    """Another of the processes that compute a run together has ended before its time.

    Attributes:
        run: name of the run, once it has begun.
        environment: of its first process, as its record has it.
    """

    run: str = ""
    environment: object = None


class UnwrittenResultError(MamlbenchError):
    """A result of a run could not be written: the disk is full, or its folder cannot be written any more."""

    exit_code = ExitCode.RUN_FAILED


class NothingToDoError(MamlbenchError):
    """There is nothing to run or to compare."""

    exit_code = ExitCode.NOTHING


class HeldError(MamlbenchError):
    """Another process is working on the run."""

    exit_code = ExitCode.NOTHING


class LostClaimError(MamlbenchError):
    """This process was suspended for so long that another one took over its run."""

    exit_code = ExitCode.INTERRUPTED


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` with the most similar candidate, or all candidates if none is similar."""
    candidates = sorted(candidates)
    similar = difflib.get_close_matches(name, candidates, n=1, cutoff=0.5)
    if similar:
        return f" Did you mean '{similar[0]}'?"
    return f" Known: {', '.join(candidates)}." if candidates else ""


def summarize_names(names: Iterable[str], limit: int = 10) -> str:
    """Join the first ``limit`` names with commas, and count the others: 'a, b and 3 more'."""
    names = list(names)
    rest = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


LONGEST_MESSAGE = 500
"""Characters of text from outside that are shown in a message."""


def one_line(text: object, limit: int = LONGEST_MESSAGE) -> str:
    """Return text from outside (a plugin, a file) as one line that can be printed anywhere.

    Line breaks become spaces; control characters, also those that turn the direction of text, become their escapes,
    such as ``\\x1b``; more than ``limit`` characters are cut.
    """
    joined = " ".join(_text(text)[: 4 * limit].split())
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in joined)
    return plain if len(plain) <= limit else f"{plain[:limit]}... (cut)"


def describe_error(error: BaseException) -> str:
    """Return an error as one line: its type, and its message if it has one."""
    name, text = one_line(type(error).__name__), one_line(error)
    return f"{name}: {text}" if text else name


def _text(text: object) -> str:
    try:
        return str(text)
    except Exception as error:  # an exception class of a plugin may have a mistake in its __str__
        return f"(its message cannot be shown: __str__ raised {type(error).__name__})"

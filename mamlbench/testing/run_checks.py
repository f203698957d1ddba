"""What a check is, and what comes out of it."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal
from unittest import SkipTest

from mamlbench.errors import DataError

Status = Literal["passed", "failed", "skipped"]


class BrokenPromiseError(AssertionError):
    """A promise that is not kept; the message says what was found."""


class NotApplicable(SkipTest):
    """A promise that this plugin does not make; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """One row of the table. ``found`` says what is wrong (or why it was skipped), ``hint`` how it is mended."""

    check: str
    status: Status
    promise: str
    found: str = ""
    hint: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """A promise of a contract: a function of the plugin under test, which raises where the promise is not kept.

    Args:
        function: raises BrokenPromiseError or NotApplicable; its name and docstring are those of the promise.
        hint: how an author mends it.
    """

    function: Callable[[Any], None]
    hint: str

    @property
    def name(self) -> str:
        """The function's name, as the table shows it."""
        return self.function.__name__.replace("_", " ")

    @property
    def promise(self) -> str:
        """What is promised, in a sentence."""
        return (inspect.getdoc(self.function) or "").partition("\n\n")[0].replace("\n", " ")

    def __str__(self) -> str:
        return self.name

    def __call__(self, subject: Any) -> Outcome:
        """Try it; whatever the plugin raises is an outcome too."""
        begin = time.perf_counter()
        status, found = self._try(subject)
        hint = self.hint if status == "failed" else ""
        return Outcome(self.name, status, self.promise, found, hint, round(time.perf_counter() - begin, 3))

    def require(self, subject: Any) -> None:
        """For a plugin's own pytest.

        Raises AssertionError where the promise is broken, NotApplicable (a unittest.SkipTest) where none is made.
        """
        outcome = self(subject)
        if outcome.status == "failed":
            raise AssertionError(f"{outcome.promise}\n{outcome.found}\nHint: {outcome.hint}")
        if outcome.status == "skipped":
            raise NotApplicable(outcome.found)

    def _try(self, subject: Any) -> tuple[Status, str]:
        try:
            self.function(subject)
        except NotApplicable as reason:
            return "skipped", str(reason)
        except BrokenPromiseError as found:
            return "failed", str(found)
        except DataError as error:
            return "skipped", f"no data: {error}"
        except Exception as error:  # a plugin may raise anything; its author wants to know what and where
            return "failed", f"{type(error).__name__}: {error} {_place(error)}"
        return "passed", ""


def demand(holds: bool, found: str) -> None:
    """Raise BrokenPromiseError with what was found unless it holds."""
    if not holds:
        raise BrokenPromiseError(found)


def run_checks(checks: Iterable[Check], subject: Any) -> list[Outcome]:
    """Try them one after the other."""
    return [check(subject) for check in checks]


def _place(error: Exception) -> str:
    """File and line where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({last.filename}:{last.lineno})"

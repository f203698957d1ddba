"""The checks of a contract, and their results."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal
from unittest import SkipTest

from mamlbench.errors import DataError, describe_error
from mamlbench.interrupts import is_interrupt

Status = Literal["passed", "failed", "skipped"]


class ContractError(AssertionError):
    """A requirement of the contract is not met; the message says how."""


class NotApplicable(SkipTest):
    """A requirement does not apply to this plugin; the message says why."""


@dataclass(frozen=True)
class CheckResult:
    """The result of one check: one row of the table.

    Args:
        check: name of the check.
        status: whether it passed, failed or was skipped.
        requirement: what the contract requires.
        message: what is wrong, why the check was skipped, or what a pass comes with.
        hint: how to fix it.
        seconds: wall time.
    """

    check: str
    status: Status
    requirement: str
    message: str = ""
    hint: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """One requirement of a contract, as a function of the plugin under test.

    Args:
        function: raises ContractError or NotApplicable; its name and docstring state the requirement. What it returns,
            if anything, is shown beside a pass.
        hint: how an author fixes a failure.
        needed: whether all later checks need what this one requires: if it fails, they are skipped, because one error
            would fail each of them with a hint that does not help.
    """

    function: Callable[[Any], str | None]
    hint: str
    needed: bool = False

    @property
    def name(self) -> str:
        """The function's name, with spaces."""
        return self.function.__name__.replace("_", " ")

    @property
    def requirement(self) -> str:
        """What the contract requires, in one sentence."""
        return (inspect.getdoc(self.function) or "").partition("\n\n")[0].replace("\n", " ")

    def __str__(self) -> str:
        return self.name

    def __call__(self, subject: Any) -> CheckResult:
        """Run the check. Any exception of the plugin is a failed result."""
        start = time.perf_counter()
        status, message = self._run(subject)
        hint = self.hint if status == "failed" else ""
        return CheckResult(self.name, status, self.requirement, message, hint, round(time.perf_counter() - start, 3))

    def require(self, subject: Any) -> None:
        """Run the check in a plugin's own pytest.

        Raises AssertionError if it fails, and NotApplicable (a unittest.SkipTest) if it does not apply.
        """
        result = self(subject)
        if result.status == "failed":
            raise AssertionError(f"{result.requirement}\n{result.message}\nHint: {result.hint}")
        if result.status == "skipped":
            raise NotApplicable(result.message)

    def _run(self, subject: Any) -> tuple[Status, str]:
        try:
            message = self.function(subject)
        except NotApplicable as reason:
            return "skipped", str(reason)
        except ContractError as error:
            return "failed", str(error)
        except DataError as error:
            return "skipped", f"no data: {error}"
        except BaseException as error:  # a plugin may raise anything; its author needs to know what and where
            if is_interrupt(error):
                raise
            return "failed", f"{describe_error(error)} {_location(error)}"
        return "passed", message or ""


def ensure(condition: bool, message: str) -> None:
    """Raise ContractError with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ContractError(message)


def run_checks(checks: Iterable[Check], subject: Any) -> list[CheckResult]:
    """Run the checks one after the other; those after a failed check that they need are skipped."""
    results: list[CheckResult] = []
    failed = ""
    for check in checks:
        if failed:
            results.append(CheckResult(check.name, "skipped", check.requirement, f"needs '{failed}' to pass"))
            continue
        results.append(check(subject))
        if check.needed and results[-1].status == "failed":
            failed = check.name
    return results


def _location(error: BaseException) -> str:
    """Return file and line where an error was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({last.filename}:{last.lineno})"

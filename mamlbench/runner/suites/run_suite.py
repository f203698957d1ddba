"""Suites: which cells are still to be run, and having a launcher run them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mamlbench.api import Launcher
from mamlbench.errors import ConfigError, MamlbenchError
from mamlbench.plugin import Plugins
from mamlbench.record import Environment, ResultStore, RunRecord
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.environment import run_environment
from mamlbench.runner.launch import Ended, launched
from mamlbench.runner.plan import plan, request
from mamlbench.runner.suites.completed_runs import History
from mamlbench.suite import GridCell, Suite, SuiteSettings, expand
from mamlbench.suite.grid import OPTION

State = Literal["to do", "finished", "failed", "interrupted", "not started"]


@dataclass(frozen=True)
class SuiteCell:
    """One run of a suite: what it is, where it stands, and why."""

    spec: RunSpec
    state: State
    reason: str = ""
    record: RunRecord | None = None
    seconds: float | None = None
    """estimated wall seconds, where it is to be run and earlier records allow an estimate"""
    given: Mapping[str, Any] = field(default_factory=dict)
    """the settings that the suite gives it, options as ``options.NAME``; the rest is the preset's"""


@dataclass
class SuitePlan:
    """All cells of a suite in the order in which they run."""

    name: str
    cells: list[SuiteCell]
    history: History
    environments: dict[str, Environment] = field(default_factory=dict)

    @property
    def waiting(self) -> list[SuiteCell]:
        """Cells that are still to be run."""
        return [cell for cell in self.cells if cell.state == "to do"]


def plan_suite(
    suite: Suite,
    plugins: Plugins,
    folders: Folders,
    *,
    changes: SuiteSettings | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
) -> SuitePlan:
    """Find out what is to be run.

    Args:
        suite: what was read.
        plugins: where its names come from.
        folders: where records of finished cells are.
        changes: settings that replace those of every cell.
        retry_failed: whether cells that failed are to be run again.
        fresh: whether finished cells are to be run again, too.

    Raises ConfigError with every mistake in the file, each with its line.
    """
    specs = _specs(suite, plugins, changes)  # with the cell of each
    history = History(ResultStore(folders.results))
    environments = {device: run_environment(device, plugins) for device in {spec.device for spec, _ in specs}}
    cells = []
    for spec, given in specs:
        environment = environments[spec.device]
        cell = SuiteCell(spec, "to do", "asked for" if fresh else "")
        if not fresh:
            cell = _state(spec, history.of(spec), environment, retry_failed)
        if cell.state == "to do":
            cell = replace(cell, seconds=history.estimate(spec, environment))
        cells.append(replace(cell, given={name: each.value for name, each in given.items()}))
    return SuitePlan(suite.name, cells, history, environments)


def run_suite(
    planned: SuitePlan, plugins: Plugins, folders: Folders, launcher: Launcher | None = None
) -> Iterator[SuiteCell]:
    """Run what is waiting and yield each cell when it has ended; an interrupt ends the suite with the cells at hand.

    A cell that cannot be started (its data is missing, say) is said to be so, and the others are run.

    Args:
        planned: the plan, which is brought up to date.
        plugins: where names come from and who listens.
        folders: where results go and data lies.
        launcher: who runs them; None: one after the other, each in a process of its own.
    """
    waiting = planned.waiting
    with closing(launched([cell.spec for cell in waiting], plugins, folders, launcher)) as outcomes:
        for number, outcome in outcomes:
            ended = _ended(waiting[number], outcome)
            if ended.record is not None:
                planned.history.add(ended.record)
            planned.cells[planned.cells.index(waiting[number])] = ended
            yield ended


def seconds_left(planned: SuitePlan, cells: Sequence[SuiteCell]) -> float | None:
    """Estimate the wall seconds of these cells from all records there are by now; None where one is unknown."""
    total = 0.0
    for cell in cells:
        seconds = planned.history.estimate(cell.spec, planned.environments[cell.spec.device])
        if seconds is None:
            return None
        total += seconds
    return total


def _ended(cell: SuiteCell, outcome: Ended) -> SuiteCell:
    if isinstance(outcome, KeyboardInterrupt):
        return replace(cell, state="interrupted", reason="interrupted before it began")
    if isinstance(outcome, MamlbenchError):
        return replace(cell, state="not started", reason=str(outcome))
    states: dict[str, State] = {"finished": "finished", "interrupted": "interrupted"}
    return replace(cell, state=states.get(outcome.status, "failed"), reason=outcome.reason, record=outcome)


def _state(spec: RunSpec, records: Sequence[RunRecord], environment: Environment, retry_failed: bool) -> SuiteCell:
    """Where a cell stands: only records of the same spec, code and environment count."""
    same = [record for record in records if record.fingerprint == environment.fingerprint]
    finished = [record for record in same if record.status == "finished"]
    if finished:
        return SuiteCell(spec, "finished", record=finished[-1])
    if not same:
        changed = ", ".join(environment.changes_since(records[-1].environment)) if records else ""
        return SuiteCell(spec, "to do", changed and f"changed since its last run: {changed}")
    latest = same[-1]
    if latest.status == "interrupted":
        return SuiteCell(spec, "to do", "was interrupted")
    if retry_failed:
        return SuiteCell(spec, "to do", f"{latest.status} before")
    return SuiteCell(spec, "failed", latest.reason, record=latest)


def _specs(suite: Suite, plugins: Plugins, changes: SuiteSettings | None) -> list[tuple[RunSpec, GridCell]]:
    """One spec for each cell, no two alike. Raises ConfigError with all that cannot be planned."""
    problems: list[str] = []
    specs: dict[str, tuple[RunSpec, GridCell]] = {}
    for cell in expand(suite, changes):
        try:
            (spec,) = plan(request(**_request(cell)), plugins)
        except ConfigError as error:
            problems += [suite.with_location(_place(cell, getattr(each, "key", "")), each) for each in error.problems]
        else:
            specs.setdefault(spec.hash, (spec, cell))
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return list(specs.values())


def _request(cell: GridCell) -> dict[str, object]:
    values: dict[str, object] = {name: given.value for name, given in cell.items() if not name.startswith(OPTION)}
    values["algorithms"] = (values.pop("algorithm"),)
    values["options"] = {
        name.removeprefix(OPTION): given.value for name, given in cell.items() if name.startswith(OPTION)
    }
    return values


def _place(cell: GridCell, key: str) -> tuple[str | int, ...]:
    """Where the value that is at fault was given; a default's fault is that of the algorithm that has it."""
    return (cell.get(key) or cell["algorithm"]).path

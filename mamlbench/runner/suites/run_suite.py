"""Plans a suite, that is, decides which cells are still to be run, and runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mamlbench.api import Launcher
from mamlbench.errors import ConfigError, MamlbenchError, UnwrittenResultError
from mamlbench.plugin import Plugins
from mamlbench.plugin.source_hash import COMPONENTS
from mamlbench.record import Environment, ResultStore, RunRecord
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.environment import run_environment
from mamlbench.runner.launch import RunEnd, launch_each
from mamlbench.runner.plan import make_request, plan
from mamlbench.runner.resuming import LATEST
from mamlbench.runner.suites.completed_runs import RunHistory
from mamlbench.suite import GridCell, Suite, SuiteSettings, expand
from mamlbench.suite.grid import OPTION

EnvironmentKey = tuple[str, ...]
"""Device and precision, and what decides which plugins a run uses: its components, and a model that it begins with."""
CellState = Literal["to do", "finished", "failed", "interrupted", "not started"]


@dataclass(frozen=True)
class SuiteCell:
    """One run of a suite: its spec, its state and the reason for the state."""

    spec: RunSpec
    state: CellState
    reason: str = ""
    record: RunRecord | None = None
    seconds: float | None = None
    """estimated wall seconds; None if it is not to be run or no similar run is recorded"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """settings from the suite, options as ``options.NAME``; all others come from the preset"""


@dataclass
class SuitePlan:
    """All cells of a suite, in the order in which they run."""

    name: str
    cells: list[SuiteCell]
    history: RunHistory
    environments: dict[EnvironmentKey, Environment] = field(default_factory=dict)
    """by what they depend on, for all cells"""
    resume: str | None = LATEST
    """as of ``launch``: whether cells go on from their last checkpoints"""

    def environment_of(self, spec: RunSpec) -> Environment:
        """The environment of a cell."""
        return self.environments[environment_key(spec)]

    @property
    def waiting(self) -> list[SuiteCell]:
        """The cells that are still to be run."""
        return [cell for cell in self.cells if cell.state == "to do"]


def environment_key(spec: RunSpec) -> EnvironmentKey:
    """Return what the environment of a run depends on."""
    components = (getattr(spec, kind).name for kind in COMPONENTS)
    return spec.device, spec.precision, *components, "init" * bool(spec.init or spec.init_sha256)


def plan_suite(
    suite: Suite,
    plugins: Plugins,
    folders: Folders,
    *,
    changes: SuiteSettings | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
) -> SuitePlan:
    """Decide which cells of a suite are to be run.

    Args:
        suite: the suite file.
        plugins: the loaded plugins.
        folders: the results folder holds the records of finished cells.
        changes: settings that replace those of every cell.
        retry_failed: whether to run failed cells again.
        fresh: whether to run finished cells again too.

    Raises ConfigError with every mistake in the file, each with its line.
    """
    planned = _plan_cells(suite, plugins, changes)
    history = RunHistory(ResultStore(folders.results))
    by_key = {environment_key(spec): spec for spec, _ in planned}
    environments = {key: run_environment(spec.device, plugins, spec.precision, spec) for key, spec in by_key.items()}
    cells = []
    for spec, grid_cell in planned:
        environment = environments[environment_key(spec)]
        cell = SuiteCell(spec, "to do", "requested" if fresh else "")
        if not fresh:
            records = history.records_of(spec)
            same = [record for record in records if record.fingerprint == environment.fingerprint]
            cell = cell_state(spec, same, environment, retry_failed=retry_failed, others=records)
        if cell.state == "to do":
            cell = replace(cell, seconds=history.estimate(spec, environment))
        cells.append(replace(cell, settings={name: setting.value for name, setting in grid_cell.items()}))
    return SuitePlan(suite.name, cells, history, environments, None if fresh else LATEST)


def run_suite(
    planned: SuitePlan, plugins: Plugins, folders: Folders, launcher: Launcher | None = None
) -> Iterator[SuiteCell]:
    """Run the waiting cells and yield each one when it has ended; an interrupt ends the suite.

    If a cell cannot be started, for example because its data are missing, the others still run.

    Args:
        planned: the plan; its cells are updated.
        plugins: the loaded plugins.
        folders: folders of results and of data.
        launcher: runs the cells; None: one after the other, each in its own process.
    """
    waiting = planned.waiting
    specs = [cell.spec for cell in waiting]
    with closing(launch_each(specs, plugins, folders, launcher, planned.resume)) as outcomes:
        for number, outcome in outcomes:
            ended = ended_cell(waiting[number], outcome)
            if ended.record is not None:
                planned.history.add(ended.record)
            planned.cells[planned.cells.index(waiting[number])] = ended
            yield ended


def seconds_left(planned: SuitePlan, cells: Sequence[SuiteCell]) -> float | None:
    """Estimate the wall seconds of these cells from all records so far; None if one cannot be estimated."""
    total = 0.0
    for cell in cells:
        environment = planned.environment_of(cell.spec)
        seconds = planned.history.estimate(cell.spec, environment)
        if seconds is None:
            return None
        total += seconds
    return total


def ended_cell(cell: SuiteCell, outcome: RunEnd) -> SuiteCell:
    """The cell with the end of its run."""
    if isinstance(outcome, KeyboardInterrupt):
        return replace(cell, state="interrupted", reason="interrupted before it began")
    if isinstance(outcome, MamlbenchError):
        has_begun = isinstance(outcome, UnwrittenResultError)
        return replace(cell, state="failed" if has_begun else "not started", reason=str(outcome))
    states: dict[str, CellState] = {"finished": "finished", "interrupted": "interrupted"}
    return replace(cell, state=states.get(outcome.status, "failed"), reason=outcome.reason, record=outcome)


def cell_state(
    spec: RunSpec,
    same: Sequence[RunRecord],
    environment: Environment,
    *,
    retry_failed: bool,
    others: Sequence[RunRecord] = (),
) -> SuiteCell:
    """Derive the state of a cell.

    Args:
        spec: the cell's.
        same: the records of it that count, the latest last.
        environment: of this process.
        retry_failed: whether a failed cell is run again.
        others: records by other code or in another environment; the reason names what has changed since.
    """
    finished = [record for record in same if record.status == "finished"]
    if finished:
        return SuiteCell(spec, "finished", record=finished[-1])
    if not same:
        changed = ", ".join(environment.changes_since(others[-1].environment)) if others else ""
        return SuiteCell(spec, "to do", changed and f"changed since its last run: {changed}")
    latest = same[-1]
    if latest.status == "interrupted":
        return SuiteCell(spec, "to do", "was interrupted")
    if latest.was_lost:
        return SuiteCell(spec, "to do", "its process was killed")
    if retry_failed:
        return SuiteCell(spec, "to do", f"{latest.status} before")
    return SuiteCell(spec, "failed", latest.reason, record=latest)


def _plan_cells(suite: Suite, plugins: Plugins, changes: SuiteSettings | None) -> list[tuple[RunSpec, GridCell]]:
    """Plan one spec per cell, without duplicates. Raises ConfigError with every problem."""
    problems: list[str] = []
    specs: dict[str, tuple[RunSpec, GridCell]] = {}
    for cell in expand(suite, changes):
        try:
            (spec,) = plan(make_request(**_request(cell)), plugins)
        except ConfigError as error:
            problems += [
                suite.with_location(_path_of(cell, getattr(problem, "key", "")), problem) for problem in error.problems
            ]
        else:
            specs.setdefault(spec.hash, (spec, cell))
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return list(specs.values())


def _request(cell: GridCell) -> dict[str, object]:
    values: dict[str, object] = {name: setting.value for name, setting in cell.items() if not name.startswith(OPTION)}
    values["algorithms"] = (values.pop("algorithm"),)
    values["options"] = {
        name.removeprefix(OPTION): setting.value for name, setting in cell.items() if name.startswith(OPTION)
    }
    return values


def _path_of(cell: GridCell, key: str) -> tuple[str | int, ...]:
    """Path of an invalid setting in the file; if it is a default, the path of the algorithm."""
    return (cell.get(key) or cell["algorithm"]).path

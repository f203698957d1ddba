"""The output of ``mamlbench suite``: the plan, the progress of cells, and the estimated time left."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench import hookimpl
from mamlbench.cli.show import table
from mamlbench.progress.console import console
from mamlbench.progress.display import ProgressDisplay, duration
from mamlbench.report.table.row_names import row_names
from mamlbench.run_spec import RunSpec
from mamlbench.runner.suites.run_suite import SuiteCell, SuitePlan, seconds_left

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

OPTION = "options."
"""Begins the name of an option in a suite's settings."""

IN_TITLE = ("algorithm", "dataset", "seed", "label")
"""Settings that a title has anyhow."""
MAX_ROWS = 40
"""Cells of a plan that are printed."""


class SuiteDisplay(ProgressDisplay):
    """Progress of runs, with the number of their cell and, on a terminal, another bar over all cells."""

    def __init__(self, planned: SuitePlan) -> None:
        super().__init__([cell.spec for cell in planned.waiting])
        self.planned = planned
        self.titles = cell_titles(planned.cells)
        self.done = 0
        self.max_parallel = 1
        """The most runs that were in progress at the same time so far."""
        self.suite_task: Any = None

    def title(self, spec: RunSpec) -> str:
        """Return the title of a run, with its number in the suite."""
        return f"{self.numbers[spec.hash]}/{len(self.numbers)} {self.titles[spec.hash]}"

    def _counts_runs(self) -> bool:
        return False  # the row of the suite counts

    @hookimpl
    def mamlbench_run_started(self, spec: RunSpec) -> None:
        """Add the bar of the run, and move that of the suite below it."""
        self._remove_suite()
        super().mamlbench_run_started(spec)
        self.max_parallel = max(self.max_parallel, len(self.runs))
        if self.bar is not None:
            self.suite_task = self.bar.add_task(
                f"suite {self.planned.name}",
                total=len(self.numbers),
                completed=self.done,
                loss="cells",
                validation=self._time_left(),
                timeless=True,
            )

    def forget(self, spec: RunSpec) -> None:
        """Leave the last run's bar on the screen. The suite's bar is removed and added again below the next run's."""
        if not self.runs.keys() - {spec.hash}:
            self._remove_suite()
        super().forget(spec)

    def show_unannounced(self, spec: RunSpec, record: RunRecord) -> None:
        """Do nothing: ``ended`` shows every cell."""

    def ended(self, cell: SuiteCell) -> None:
        """Print in one line how a cell ended."""
        self.forget(cell.spec)
        self.done += 1
        if self.bar is not None and self.suite_task is not None:
            self.bar.update(self.suite_task, completed=self.done)
        measurement = cell.record.measurement if cell.record else None
        elapsed = f" in {duration(measurement.wall_seconds)}" if measurement else ""
        left = self._time_left()
        reason = f": {' '.join(cell.reason.splitlines())}" if cell.reason else ""
        self.print_line(f"{self.title(cell.spec)}: {cell.state}{elapsed}{reason}{left and f'; {left}'}")

    def show_table(self) -> None:
        """Print the table of the cells that have ended so far, above the bars if there are any."""
        from mamlbench.report import print_table

        out = self.bar.console if self.bar is not None and self.runs else self.console
        print_table(records_of(self.planned.cells), out, brief=True)

    def _time_left(self) -> str:
        """Estimate the time left; empty if runs in parallel slow each other down."""
        seconds = seconds_left(self.planned, self.planned.waiting) if self.max_parallel == 1 else None
        return f"about {duration(seconds)} left" if seconds else ""

    def _remove_suite(self) -> None:
        if self.bar is not None and self.suite_task is not None:
            self.bar.remove_task(self.suite_task)
            self.suite_task = None


def show_plan(planned: SuitePlan, folder: Path) -> None:
    """Print every cell with its state, and the estimated time."""
    out = console(stderr=True)
    titles = cell_titles(planned.cells)
    rows = table("", "run", "state", "time")
    for number, cell in enumerate(planned.cells[:MAX_ROWS], 1):
        state = f"{cell.state} ({cell.reason})" if cell.reason else cell.state
        seconds = "unknown" if cell.seconds is None else f"about {duration(cell.seconds)}"
        title = _escape(titles[cell.spec.hash])
        rows.add_row(str(number), title, _escape(state), seconds if cell.state == "to do" else "")
    out.print(rows)
    if len(planned.cells) > MAX_ROWS:
        click.echo(f"... and {len(planned.cells) - MAX_ROWS} more cells.", err=True)
    click.echo(_summary(planned, folder), err=True)


def plan_as_json(planned: SuitePlan, folder: Path) -> str:
    """Return every cell with its spec, state and record as JSON."""
    cells = [
        {
            "spec": cell.spec.model_dump(mode="json"),
            "spec_hash": cell.spec.hash,
            "state": cell.state,
            "reason": cell.reason,
            "estimated_seconds": cell.seconds,
            "record": None if cell.record is None else cell.record.name,
        }
        for cell in planned.cells
    ]
    return json.dumps({"suite": planned.name, "results": str(folder), "cells": cells}, indent=1)


def _summary(planned: SuitePlan, folder: Path) -> str:
    counts = Counter(cell.state for cell in planned.cells)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    text = f"Suite {planned.name}: {_cells(len(planned.cells))} ({states}); records in {folder}/."
    estimates = [cell.seconds for cell in planned.waiting if cell.seconds is not None]
    unknown = len(planned.waiting) - len(estimates)
    if estimates:
        text += f" Time: about {duration(sum(estimates))}"
        text += f", without {_cells(unknown)} that cannot be estimated." if unknown else "."
    elif unknown:
        text += " Time: unknown, because no similar run was recorded on this machine."
    if counts["failed"]:
        text += " Run failed cells again with --retry-failed."
    return text


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def cell_titles(cells: Sequence[SuiteCell]) -> dict[str, str]:
    """Return a title for each cell, by the hash of its spec: ``maml (inner_lr=0.1) on omniglot, seed 0``."""
    by_method: dict[tuple[str, str], list[SuiteCell]] = defaultdict(list)
    for cell in cells:
        by_method[cell.spec.algorithm.name, cell.spec.dataset.name].append(cell)
    titles: dict[str, str] = {}
    for (algorithm, dataset), same in by_method.items():
        settings = [
            {name.removeprefix(OPTION): value for name, value in cell.settings.items() if name not in IN_TITLE}
            for cell in same
        ]
        names = row_names(algorithm, [cell.spec.label for cell in same], settings)
        titles |= {
            cell.spec.hash: f"{name} on {dataset}, seed {cell.spec.seed}"
            for name, cell in zip(names, same, strict=True)
        }
    return titles


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def records_of(cells: Sequence[SuiteCell]) -> list[RunRecord]:
    """Return the records of the cells that have one."""
    return [cell.record for cell in cells if cell.record is not None]

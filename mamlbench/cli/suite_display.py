"""What ``mamlbench suite`` shows: the plan before the start, the cells as they go, and what is left to do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench import hookimpl
from mamlbench.cli.progress import ProgressDisplay
from mamlbench.cli.show import console, table
from mamlbench.runner.suite import SuiteCell, SuitePlan, seconds_left
from mamlbench.spec import RunSpec

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

MOST_ROWS = 40


class SuiteDisplay(ProgressDisplay):
    """A run's progress with the number of its cell before it and, on a terminal, a second bar over the cells."""

    def __init__(self, planned: SuitePlan) -> None:
        super().__init__()
        self.planned = planned
        self.cells = planned.waiting
        self.number = 0
        self.suite_task: Any = None

    def title(self, spec: RunSpec) -> str:
        """The run with its place in the suite."""
        return f"{self.number + 1}/{len(self.cells)} {super().title(spec)}"

    def starts(self, number: int, cell: SuiteCell) -> None:
        """A cell is about to run."""
        self.number = number

    @hookimpl
    def mamlbench_run_started(self, spec: RunSpec) -> None:
        """Begin the bar of the run, and put that of the suite below it."""
        super().mamlbench_run_started(spec)
        if self.bar is not None:
            title = f"suite {self.planned.name}"
            self.suite_task = self.bar.add_task(
                title, total=len(self.cells), completed=self.number, loss="cells", validation=self._left(self.number)
            )

    @hookimpl
    def mamlbench_run_finished(self, spec: RunSpec, record: RunRecord) -> None:
        """Leave the run's bar behind, without the suite's, which goes on below the next one."""
        if self.bar is not None and self.suite_task is not None:
            self.bar.remove_task(self.suite_task)
            self.suite_task = None
        super().mamlbench_run_finished(spec, record)

    def ended(self, cell: SuiteCell) -> None:
        """Say in one line how a cell ended."""
        self.close()
        took = (
            f" in {duration(cell.record.measurement.wall_seconds)}" if cell.record and cell.record.measurement else ""
        )
        left = self._left(self.number + 1)
        why = f": {' '.join(cell.reason.splitlines())}" if cell.reason else ""
        click.echo(f"{self.title(cell.spec)}: {cell.state}{took}{why}{left and f'; {left}'}", err=True)

    def _left(self, number: int) -> str:
        seconds = seconds_left(self.planned, self.cells[number:])
        return f"about {duration(seconds)} left" if seconds else ""


def show_plan(planned: SuitePlan, folder: Path) -> None:
    """Print every cell with its state, and how long what is to be run will take."""
    out = console(stderr=True)
    differing = _differing(planned.cells)
    rows = table("", *(name.removeprefix("options.") for name in differing), "state", "about")
    for number, cell in enumerate(planned.cells[:MOST_ROWS], 1):
        state = f"{cell.state} ({cell.reason})" if cell.reason else cell.state
        about = "" if cell.state != "to do" else "unknown" if cell.seconds is None else duration(cell.seconds)
        rows.add_row(str(number), *(_text(cell.given.get(name, "")) for name in differing), _escaped(state), about)
    out.print(rows)
    if len(planned.cells) > MOST_ROWS:
        click.echo(f"... and {len(planned.cells) - MOST_ROWS} more cells.", err=True)
    click.echo(_summary(planned, folder), err=True)


def plan_as_json(planned: SuitePlan, folder: Path) -> str:
    """Every cell as plain data: what it is, where it stands, where its record lies."""
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


def duration(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _summary(planned: SuitePlan, folder: Path) -> str:
    count = Counter(cell.state for cell in planned.cells)
    states = ", ".join(f"{number} {state}" for state, number in count.items())
    text = f"Suite {planned.name}: {_cells(len(planned.cells))} ({states}); records in {folder}/."
    known = [cell.seconds for cell in planned.waiting if cell.seconds is not None]
    unknown = len(planned.waiting) - len(known)
    if known:
        text += f" Time: about {duration(sum(known))}"
        text += f", and {_cells(unknown)} unlike any that was run here before." if unknown else "."
    elif unknown:
        text += " Time: unknown; nothing like it was run here before."
    if count["failed"]:
        text += " What failed is run again with --retry-failed."
    return text


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number} cells"


def _differing(cells: Sequence[SuiteCell]) -> list[str]:
    """The settings that tell the cells apart, the algorithm always among them."""
    names = dict.fromkeys(name for cell in cells for name in cell.given)
    return [n for n in names if n == "algorithm" or len({repr(cell.given.get(n)) for cell in cells}) > 1]


def _text(value: Any) -> str:
    return _escaped(value if isinstance(value, str) else json.dumps(value))


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def records_of(cells: Sequence[SuiteCell]) -> list[RunRecord]:
    """The records that a suite's table is made of."""
    return [cell.record for cell in cells if cell.record is not None]

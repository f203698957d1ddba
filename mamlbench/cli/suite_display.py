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
from mamlbench.run_spec import RunSpec
from mamlbench.runner.suites.run_suite import SuiteCell, SuitePlan, seconds_left

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

MOST_ROWS = 40


class SuiteDisplay(ProgressDisplay):
    """A run's progress with the number of its cell before it and, on a terminal, one more bar over the cells."""

    def __init__(self, planned: SuitePlan) -> None:
        super().__init__()
        self.planned = planned
        self.numbers = {cell.spec.hash: number for number, cell in enumerate(planned.waiting, 1)}
        self.done = 0
        self.at_once = 1
        """the most runs that went on at the same time so far"""
        self.suite_task: Any = None

    def title(self, spec: RunSpec) -> str:
        """The run with its place in the suite."""
        return f"{self.numbers[spec.hash]}/{len(self.numbers)} {super().title(spec)}"

    @hookimpl
    def mamlbench_run_started(self, spec: RunSpec) -> None:
        """Begin the bar of the run, and put that of the suite below it."""
        self._remove_suite()
        super().mamlbench_run_started(spec)
        self.at_once = max(self.at_once, len(self.runs))
        if self.bar is not None:
            self.suite_task = self.bar.add_task(
                f"suite {self.planned.name}",
                total=len(self.numbers),
                completed=self.done,
                loss="cells",
                validation=self._left(),
            )

    def forget(self, spec: RunSpec) -> None:
        """Leave the last run's bar behind, without the suite's, which goes on below the next one."""
        if not self.runs.keys() - {spec.hash}:
            self._remove_suite()
        super().forget(spec)

    def unheard_of(self, spec: RunSpec, record: RunRecord) -> None:
        """``ended`` tells it."""

    def ended(self, cell: SuiteCell) -> None:
        """Say in one line how a cell ended."""
        self.forget(cell.spec)
        self.done += 1
        if self.bar is not None and self.suite_task is not None:
            self.bar.update(self.suite_task, completed=self.done)
        took = (
            f" in {duration(cell.record.measurement.wall_seconds)}" if cell.record and cell.record.measurement else ""
        )
        left = self._left()
        why = f": {' '.join(cell.reason.splitlines())}" if cell.reason else ""
        self.say(f"{self.title(cell.spec)}: {cell.state}{took}{why}{left and f'; {left}'}")

    def _left(self) -> str:
        """How long the rest takes; unknown where runs slow each other down."""
        seconds = seconds_left(self.planned, self.planned.waiting) if self.at_once == 1 else None
        return f"about {duration(seconds)} left" if seconds else ""

    def _remove_suite(self) -> None:
        if self.bar is not None and self.suite_task is not None:
            self.bar.remove_task(self.suite_task)
            self.suite_task = None


def show_plan(planned: SuitePlan, folder: Path) -> None:
    """Print every cell with its state, and how long what is to be run will take."""
    out = console(stderr=True)
    everywhere, elsewhere = _differing(planned.cells)
    columns = [*map(_short, everywhere), *(["settings"] if elsewhere else [])]
    rows = table("", *columns, "state", "about")
    for number, cell in enumerate(planned.cells[:MOST_ROWS], 1):
        state = f"{cell.state} ({cell.reason})" if cell.reason else cell.state
        about = "" if cell.state != "to do" else "unknown" if cell.seconds is None else duration(cell.seconds)
        values = [_text(cell.settings[name]) for name in everywhere]
        if elsewhere:
            values.append(
                ", ".join(f"{_short(name)}={_text(cell.settings[name])}" for name in elsewhere if name in cell.settings)
            )
        rows.add_row(str(number), *values, _escaped(state), about)
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


def _differing(cells: Sequence[SuiteCell]) -> tuple[list[str], list[str]]:
    """The settings that tell the cells apart: those that all cells give, the algorithm among them, and the others."""
    names = dict.fromkeys(name for cell in cells for name in cell.settings)
    differing = [n for n in names if n == "algorithm" or len({repr(cell.settings.get(n)) for cell in cells}) > 1]
    everywhere = [n for n in differing if all(n in cell.settings for cell in cells)]
    return everywhere, [n for n in differing if n not in everywhere]


def _short(name: str) -> str:
    return name.removeprefix("options.")


def _text(value: Any) -> str:
    return _escaped(value if isinstance(value, str) else json.dumps(value))


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def records_of(cells: Sequence[SuiteCell]) -> list[RunRecord]:
    """The records that a suite's table is made of."""
    return [cell.record for cell in cells if cell.record is not None]

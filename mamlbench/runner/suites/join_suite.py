"""A suite that any number of processes work on together, on all machines that share its results folder.

There is no server. A process claims a cell by a file that only one of them can create, looks whether the cell is still
to be run, and runs it. The claim of a process that died is taken over, and its cell goes on from its checkpoint.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from mamlbench.api import Launcher
from mamlbench.errors import HeldError
from mamlbench.plugin import Plugins
from mamlbench.record import Environment, ResultStore, RunRecord, UnreadableRecordError, in_order, read_record
from mamlbench.record.claims import ClaimWatcher
from mamlbench.run_spec import Folders
from mamlbench.runner.launch import launch_each
from mamlbench.runner.resuming import LATEST
from mamlbench.runner.suites.run_suite import SuiteCell, SuitePlan, cell_state, ended_cell

POLL_SECONDS = 1.0
"""Time between two looks at the cells that other processes hold."""
MOST_TRIES = 2
"""How often one process starts a cell whose own process is killed each time, by a lack of memory perhaps."""


def join_suite(
    planned: SuitePlan,
    plugins: Plugins,
    folders: Folders,
    launcher: Launcher | None = None,
    *,
    retry_failed: bool = False,
) -> Iterator[SuiteCell]:
    """Run waiting cells that no other process is running, until all have ended; yield each one when it has.

    Cells that others ran are yielded too, with their records. A cell counts as run if the same code ran it, on any
    machine. An interrupt ends this process's part.

    Args:
        planned: the plan; its cells are updated.
        plugins: the loaded plugins.
        folders: folders of results and of data.
        launcher: runs the cells, one at a time; None: each in its own process.
        retry_failed: whether cells that had failed before this process joined are run again.
    """
    work = _SharedWork(planned, plugins, folders, launcher)
    waiting = list(planned.waiting)
    failed_before = {cell.spec.hash: work.records_of(cell)[-1:] for cell in waiting} if retry_failed else {}
    while waiting:
        left = []
        for cell in waiting:
            ended = work.attempt(cell, failed_before.get(cell.spec.hash, []))
            if ended is None:
                left.append(cell)
                continue
            planned.cells[planned.cells.index(cell)] = ended
            yield ended
            if ended.state == "interrupted":
                return
        if len(left) == len(waiting):
            time.sleep(POLL_SECONDS)
        waiting = left


class _SharedWork:
    """Takes cells one at a time."""

    def __init__(self, planned: SuitePlan, plugins: Plugins, folders: Folders, launcher: Launcher | None) -> None:
        self.planned, self.plugins, self.folders, self.launcher = planned, plugins, folders, launcher
        self.store = ResultStore(folders.results)
        self.watcher = ClaimWatcher()
        self.tries: Counter[str] = Counter()

    def attempt(self, cell: SuiteCell, failed_before: list[RunRecord]) -> SuiteCell | None:
        """Run a cell unless it has been run or is being run; return how it ended, None if it has not.

        A failed record among ``failed_before`` does not count as an end.
        """
        ended = self._end_by_another(cell, failed_before)
        if ended is not None:  # a claim is a flushed file: none is made for most cells
            return ended
        environment = self._environment(cell)
        self.store.folder.mkdir(parents=True, exist_ok=True)
        claim = self.watcher.take(self.store.folder / self.store.cell_name(cell.spec, environment.software))
        if claim is None:
            return None
        with claim:  # the last holder may have ended the cell a moment ago
            return self._end_by_another(cell, failed_before) or self._run(cell)

    def _end_by_another(self, cell: SuiteCell, failed_before: list[RunRecord]) -> SuiteCell | None:
        """Return how the cell ended in another process, None if it is to be run."""
        records = self.records_of(cell)
        retry_failed = records[-1:] == failed_before != []
        state = cell_state(cell.spec, records, self._environment(cell), retry_failed=retry_failed)
        if state.state == "to do":
            return None
        reason = "by another process" if state.state == "finished" else state.reason
        return replace(state, settings=cell.settings, reason=reason)

    def _environment(self, cell: SuiteCell) -> Environment:
        return self.planned.environment_of(cell.spec)

    def records_of(self, cell: SuiteCell) -> list[RunRecord]:
        """The records of a cell by the same code, on any machine, the latest last; read now."""
        software = self._environment(cell).software
        records = []
        for path in self.store.paths_of(cell.spec):
            try:
                record = read_record(path)
            except UnreadableRecordError:
                continue
            if record.spec_hash == cell.spec.hash and record.environment.software == software:
                records.append(record)
        return in_order(records)

    def _run(self, cell: SuiteCell) -> SuiteCell | None:
        self.tries[cell.spec.hash] += 1
        with closing(launch_each([cell.spec], self.plugins, self.folders, self.launcher, LATEST)) as ends:
            for _, end in ends:
                if isinstance(end, HeldError):  # the process that a dead worker had started is still at work
                    return None
                ended = ended_cell(cell, end)
                if ended.record is not None:
                    self.planned.history.add(ended.record)
                    if ended.record.was_lost and self.tries[cell.spec.hash] < MOST_TRIES:
                        return None
                return ended
        return None

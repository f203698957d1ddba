"""The work of one job, wherever it is done: what launchers call."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mamlbench.api import Emit, Job
from mamlbench.plugin import load_plugins
from mamlbench.record import RunRecord
from mamlbench.runner.execute import execute


def perform(
    job: Job, emit: Emit | None = None, *, own_process: bool = False, runs_at_once: int = 1
) -> RunRecord:  # fmt: skip
    """Do one job in this process: load its plugins, run it, write its record. A launcher calls this where it sees fit.

    A SIGTERM interrupts it as Ctrl-C does: with its record.

    Args:
        job: what to run, and where its record goes.
        emit: called with an event hook's name and its arguments, to be handed on to the launcher's own; None: nobody
            is told.
        own_process: whether this process runs nothing else, before or at the same time: only then is its peak memory
            recorded as the run's.
        runs_at_once: how many runs may share the machine while this one is measured; the record says so, and tables
            do not compare its times with those of a run that had the machine to itself.

    Raises what a run raises before it starts training (a MamlbenchError: missing data, an impossible protocol).
    """
    with _terminated_as_interrupted():
        plugins = load_plugins(job.plugins)
        return execute(
            job.spec, plugins, job.folders, emit or _silence, own_process=own_process, runs_at_once=runs_at_once
        )  # fmt: skip


def _silence(hook: str, **arguments: Any) -> None:
    """Tell nobody."""


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM for an interrupt: a scheduler sends it to every process. Only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

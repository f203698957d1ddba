"""A worker process ends when its parent asks for it, or is gone, also if the parent was killed; its logs go there."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from mamlbench.interrupts import SIGNALS, end_at_once, request_interrupt, take_over

PACKAGE = "mamlbench"
"""Name of the logger of everything here."""
POLL_SECONDS = 0.5
"""Time between two looks at the parent's number."""
GRACE_SECONDS = 30.0
"""Time that an interrupted worker without a parent has to write its record."""


@contextmanager
def signals_wait(start_method: str = "spawn") -> Iterator[None]:
    """A process that is started inside gets signals only when it calls ``work_for_parent``.

    Before, it has no handlers: a signal to a whole group of processes would kill it, or make it print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import forkserver, resource_tracker

    resource_tracker.ensure_running()  # starting it lets the signals through
    if start_method == "forkserver":
        forkserver.ensure_running()  # it and all that it ever starts would have the signals blocked
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def work_for_parent(orders: Connection | None = None) -> None:
    """Handle the signals of this worker process, and end it when its parent is gone.

    A run is interrupted first, so that it leaves its record; ``GRACE_SECONDS`` later the process ends in any case.

    Args:
        orders: a connection from the parent: anything that it sends interrupts the run too.
    """
    take_over()
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent, orders), name="mamlbench-parent", daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


LOGGED = "logged"
"""Name of the event that passes on what a worker logs: no hook, but handled by the process that launched the run."""


@contextmanager
def logs_forwarded(emit: Callable[..., object], spec: object) -> Iterator[None]:
    """Send what mamlbench logs in this process to the one that launched the run: as events, through ``emit``.

    Args:
        emit: a launcher's ``Emit``.
        spec: the run.
    """
    logger, handler = logging.getLogger(PACKAGE), _Forwarder(emit, spec)
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False  # it is shown by the other process
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def log_again(record: Mapping[str, Any]) -> None:
    """Log here what a worker has sent."""
    logger = logging.getLogger(record["name"])
    if logger.isEnabledFor(record["levelno"]):
        logger.handle(logging.makeLogRecord(dict(record)))


class _Forwarder(logging.Handler):
    """Sends records as plain data."""

    def __init__(self, emit: Callable[..., object], spec: object) -> None:
        super().__init__()
        self._emit, self._spec = emit, spec

    def emit(self, record: logging.LogRecord) -> None:
        fields = ("name", "levelno", "levelname", "created", "msecs", "process")
        plain = {name: getattr(record, name) for name in fields} | {"msg": record.getMessage()}
        self._emit(LOGGED, spec=self._spec, record=plain)


def _watch(parent: BaseProcess, orders: Connection | None) -> None:
    _wait_for_end(parent, orders)
    request_interrupt()
    _wait_for_end(parent, None)
    time.sleep(GRACE_SECONDS)
    end_at_once()


def _wait_for_end(parent: BaseProcess, orders: Connection | None) -> None:
    """Wait until the parent is gone, or sends an order."""
    awaited: list[Connection | int] = [parent.sentinel, *([orders] if orders is not None else [])]
    is_child = os.getppid() == parent.pid  # a fork server may stand in between
    while not wait(awaited, POLL_SECONDS):
        if is_child and os.getppid() != parent.pid:  # forked siblings hold the sentinel open
            return

"""Runs on this machine, each in a process of its own, so that their memory can be told apart."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from mamlbench import perform
from mamlbench.api import Emit, Job, Launcher, Options
from mamlbench.errors import MamlbenchError, RunFailedError

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

    Outcome = RunRecord | BaseException

_START_METHOD = "spawn"
"""How processes begin: with nothing of this one, since a forked torch would share its thread pools."""
_TERMINAL_SECONDS = 1
"""A terminal's Ctrl-C reaches every process; so long they may take before they get an interrupt of their own."""
_GRACE_SECONDS = 30
"""So long an interrupted run may take to write its record."""


class Processes(Launcher):
    """A fresh process for each run, one after the other or several at a time."""

    class Options(Options):
        """Options of the processes."""

        max_parallel: int = Field(
            1, ge=1, description="runs at a time; more than one share the machine, and their records say so"
        )

    def launch(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, Outcome]]:
        max_parallel = min(self.options.max_parallel, len(jobs))
        waiting, running = deque(jobs), dict[Connection, _Worker]()
        try:
            while waiting or running:
                while waiting and len(running) < max_parallel:
                    worker = _Worker.start(waiting.popleft(), max_parallel)
                    running[worker.connection] = worker
                for job, outcome in _listen(running, emit):
                    yield job, outcome
                    if isinstance(outcome, KeyboardInterrupt) or getattr(outcome, "status", "") == "interrupted":
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            yield from _interrupt(running, emit)
        except GeneratorExit:  # nobody waits for the rest
            for _ in _interrupt(running, _silence):
                pass
            raise
        finally:
            for worker in running.values():
                worker.process.kill()
                worker.process.join()
                worker.connection.close()


@dataclass(frozen=True)
class _Worker:
    """A process at work."""

    job: Job
    process: BaseProcess
    connection: Connection

    @classmethod
    def start(cls, job: Job, max_parallel: int) -> _Worker:
        context = multiprocessing.get_context(_START_METHOD)
        ours, theirs = context.Pipe(duplex=False)
        name = f"mamlbench-{job.spec.algorithm.name}"
        process = context.Process(target=_work, args=(job, max_parallel, theirs), name=name)
        process.start()
        theirs.close()
        return cls(job, process, ours)

    def receive(self, emit: Emit) -> Outcome | None:
        """Take one message: an event is passed on, an outcome returned; the end without one is an outcome, too."""
        try:
            kind, content = self.connection.recv()
        except EOFError:
            self.process.join()
            return _lost(self.process.exitcode)
        if kind == "event":
            hook, arguments = content
            emit(hook, **arguments)
            return None
        self.process.join()
        outcome: Outcome = content
        return outcome

    def interrupt(self) -> None:
        if self.process.pid is not None and self.process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGINT)


def _listen(
    running: dict[Connection, _Worker], emit: Emit, seconds: float | None = None
) -> Iterator[tuple[Job, Outcome]]:
    """Wait until some worker says something, no longer than ``seconds``; yield the jobs that have ended by that."""
    for ready in wait(list(running), seconds):
        connection = cast(Connection, ready)
        worker = running[connection]
        outcome = worker.receive(emit)
        if outcome is not None:
            del running[connection]
            connection.close()
            yield worker.job, outcome


def _listen_until_all_ended(
    running: dict[Connection, _Worker], emit: Emit, seconds: float
) -> Iterator[tuple[Job, Outcome]]:
    end = time.monotonic() + seconds
    while running and (left := end - time.monotonic()) > 0:
        yield from _listen(running, emit, left)


def _interrupt(running: dict[Connection, _Worker], emit: Emit) -> Iterator[tuple[Job, Outcome]]:
    """Give the workers time to write their records. A terminal's Ctrl-C reached them too; another signal may not have.

    Who writes none in that time is killed, as is everybody by a second interrupt.
    """
    yield from _listen_until_all_ended(running, emit, _TERMINAL_SECONDS)
    for worker in running.values():
        worker.interrupt()
    yield from _listen_until_all_ended(running, emit, _GRACE_SECONDS)
    for worker in running.values():
        worker.process.kill()
        yield worker.job, KeyboardInterrupt()


def _work(job: Job, max_parallel: int, connection: Connection) -> None:
    """Do one job in this fresh process; only plain data crosses the border."""

    def emit(hook: str, **arguments: Any) -> None:
        connection.send(("event", (hook, arguments)))

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the record has been sent
    try:
        connection.send(("record", perform(job, emit, own_process=True, runs_at_once=max_parallel)))
    except (MamlbenchError, KeyboardInterrupt) as error:
        connection.send(("error", error))
    finally:
        connection.close()


def _lost(exit_code: int | None) -> RunFailedError:
    """What a worker's end without a word means."""
    killed = exit_code is not None and exit_code < 0
    how = f"killed by signal {-exit_code}" if killed and exit_code else f"exit code {exit_code}"
    return RunFailedError(f"the run's process ended without a result ({how}); too little memory is the usual cause")


def _silence(hook: str, **arguments: Any) -> None:
    """Tell nobody."""

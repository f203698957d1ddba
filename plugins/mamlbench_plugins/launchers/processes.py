"""Launcher that gives every run its own process on this machine, so that its memory can be measured."""

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
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import Field

from mamlbench import perform
from mamlbench.api import Emit, Job, Launcher, MamlbenchError, Options, RunFailedError

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

    RunResult = RunRecord | BaseException

_START_METHOD: Final = "spawn"
"""Start method of the processes; forked processes would share the thread pools of torch."""
_TERMINAL_SECONDS = 1
"""Time to react to Ctrl-C, which a terminal sends to every process, before workers are interrupted again."""
_GRACE_SECONDS = 30
"""Time for an interrupted run to write its record."""


class Processes(Launcher):
    """Starts a new process for every run, one after the other or several at a time."""

    class Options(Options):
        """Number of processes."""

        max_parallel: int = Field(
            1, ge=1, description="runs at a time; runs that share the machine are marked in their records"
        )

    def launch(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, RunResult]]:
        max_parallel = min(self.options.max_parallel, len(jobs))
        waiting, running = deque(jobs), dict[Connection, _Worker]()
        try:
            while waiting or running:
                while waiting and len(running) < max_parallel:
                    worker = _Worker.start(waiting.popleft(), max_parallel)
                    running[worker.connection] = worker
                for job, result in _receive_messages(running, emit):
                    yield job, result
                    if isinstance(result, KeyboardInterrupt) or getattr(result, "status", "") == "interrupted":
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            yield from _interrupt(running, emit)
        except GeneratorExit:  # the caller does not want the other results
            for _ in _interrupt(running, _ignore_event):
                pass
            raise
        finally:
            for worker in running.values():
                worker.process.kill()
                worker.process.join()
                worker.connection.close()


@dataclass(frozen=True)
class _Worker:
    """A process that runs one job."""

    job: Job
    process: BaseProcess
    connection: Connection

    @classmethod
    def start(cls, job: Job, max_parallel: int) -> _Worker:
        context = multiprocessing.get_context(_START_METHOD)
        receiver, sender = context.Pipe(duplex=False)
        name = f"mamlbench-{job.spec.algorithm.name}"
        process = context.Process(target=_work, args=(job, max_parallel, sender), name=name)
        process.start()
        sender.close()
        return cls(job, process, receiver)

    def receive(self, emit: Emit) -> RunResult | None:
        """Receive one message: emit an event, or return a result; a process that ends without one is a result too."""
        try:
            kind, content = self.connection.recv()
        except EOFError:
            self.process.join()
            return _ended_without_result(self.process.exitcode)
        if kind == "event":
            hook, arguments = content
            emit(hook, **arguments)
            return None
        self.process.join()
        result: RunResult = content
        return result

    def interrupt(self) -> None:
        """Interrupt the run by SIGTERM, which it always handles.

        SIGINT is ignored by every process that was started under nohup, or in the background of a shell script.
        """
        if self.process.pid is not None and self.process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)


def _receive_messages(
    running: dict[Connection, _Worker], emit: Emit, seconds: float | None = None
) -> Iterator[tuple[Job, RunResult]]:
    """Wait for messages of any worker, at most ``seconds``; yield the jobs that ended, with their results."""
    for ready in wait(list(running), seconds):
        connection = cast(Connection, ready)
        worker = running[connection]
        result = worker.receive(emit)
        if result is not None:
            del running[connection]
            connection.close()
            yield worker.job, result


def _receive_until_all_ended(
    running: dict[Connection, _Worker], emit: Emit, seconds: float
) -> Iterator[tuple[Job, RunResult]]:
    end = time.monotonic() + seconds
    while running and (left := end - time.monotonic()) > 0:
        yield from _receive_messages(running, emit, left)


def _interrupt(running: dict[Connection, _Worker], emit: Emit) -> Iterator[tuple[Job, RunResult]]:
    """Interrupt the workers, and give them time to write their records.

    A terminal's Ctrl-C has reached them already, another signal perhaps not. A worker that takes too long is killed; a
    second interrupt kills all of them.
    """
    yield from _receive_until_all_ended(running, emit, _TERMINAL_SECONDS)
    for worker in running.values():
        worker.interrupt()
    yield from _receive_until_all_ended(running, emit, _GRACE_SECONDS)
    for worker in running.values():
        worker.process.kill()
        yield worker.job, KeyboardInterrupt()


def _work(job: Job, max_parallel: int, connection: Connection) -> None:
    """Run one job in this new process; only plain data are sent back."""

    def emit(hook: str, **arguments: Any) -> None:
        connection.send(("event", (hook, arguments)))

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a SIGTERM after the run still sends the record
    try:
        connection.send(("record", perform(job, emit, own_process=True, runs_at_once=max_parallel)))
    except (MamlbenchError, KeyboardInterrupt) as error:
        connection.send(("error", error))
    finally:
        connection.close()


def _ended_without_result(exit_code: int | None) -> RunFailedError:
    """Make the error for a process that ended without sending a result."""
    killed = exit_code is not None and exit_code < 0
    how = f"killed by signal {-exit_code}" if killed and exit_code else f"exit code {exit_code}"
    return RunFailedError(f"the run's process ended without a result ({how}); too little memory is the usual cause")


def _ignore_event(hook: str, **arguments: Any) -> None:
    """Ignore an event."""

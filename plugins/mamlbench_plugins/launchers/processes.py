"""Launcher that gives every run its own process on this machine, so that its memory can be measured."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import Field

from mamlbench import perform
from mamlbench.api import Emit, Job, Launcher, MamlbenchError, Options, RunFailedError
from mamlbench.errors import describe_error
from mamlbench.interrupts import check_interrupt, deferred, prompt, request_interrupt, work_is_done
from mamlbench.worker_process import logs_forwarded, signals_wait, work_for_parent
from mamlbench_plugins.launchers.other_ranks import OtherRanks, take_place

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

    RunResult = RunRecord | BaseException

_START_METHOD: Final = "spawn"
"""Start method of the processes; forked processes would share the thread pools of torch."""
_GRACE_SECONDS = 30
"""Time for an interrupted run to write its record."""


class Processes(Launcher):
    """Starts a new process for every run, one after the other or several at a time."""

    class Options(Options):
        """Number of runs at a time, and of processes of each."""

        max_parallel: int = Field(
            1, ge=1, description="runs at a time; runs that share the machine are marked in their records"
        )
        ranks: int = Field(1, ge=1, description="processes that compute each run together, dividing its tasks")

    def launch(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, RunResult]]:
        max_parallel = min(self.options.max_parallel, len(jobs))
        waiting, running = deque(jobs), dict[Connection, _Worker]()
        try:
            while waiting or running:
                check_interrupt()
                with deferred():  # an interrupt must not lose a process or cut a message
                    while waiting and len(running) < max_parallel:
                        worker = _Worker.start(waiting.popleft(), max_parallel, self.options.ranks)
                        running[worker.connection] = worker
                    ended = list(_receive_messages(running, emit))
                for job, result in ended:
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
                worker.close()


@dataclass(frozen=True)
class _Worker:
    """A process that runs one job."""

    job: Job
    process: BaseProcess
    connection: Connection
    orders: Connection
    others: OtherRanks

    @classmethod
    def start(cls, job: Job, max_parallel: int, ranks: int) -> _Worker:
        context = multiprocessing.get_context(_START_METHOD)
        receiver, sender = context.Pipe(duplex=False)
        their_orders, orders = context.Pipe(duplex=False)
        name = f"mamlbench-{job.spec.algorithm.name}"
        others = OtherRanks(ranks, max_parallel)
        place = others.place(0)
        process = context.Process(target=_work, args=(job, max_parallel, sender, their_orders, place), name=name)
        with signals_wait(_START_METHOD):
            process.start()
            others.start(context, job)
        sender.close()
        their_orders.close()
        return cls(job, process, receiver, orders, others)

    def receive(self, emit: Emit) -> RunResult | None:
        """Receive one message: emit an event, or return a result; a process that ends without one is a result too."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):  # the end of the process, or its death in the middle of a message
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
        """Interrupt the run; one that a signal has interrupted already goes on to its end."""
        with contextlib.suppress(OSError):  # the process has ended
            self.orders.send("interrupt")

    def close(self) -> None:
        """Close both connections; the worker takes that for the end of the parent."""
        self.connection.close()
        self.orders.close()
        self.others.end()


def _receive_messages(
    running: dict[Connection, _Worker], emit: Emit, seconds: float | None = None
) -> Iterator[tuple[Job, RunResult]]:
    """Wait for messages of any worker, at most ``seconds``; yield the jobs that ended, with their results."""
    with prompt():
        readable = wait(list(running), seconds)
    for ready in readable:
        connection = cast(Connection, ready)
        worker = running[connection]
        result = worker.receive(emit)
        if result is not None:
            del running[connection]
            worker.close()
            yield worker.job, result


def _receive_until_all_ended(
    running: dict[Connection, _Worker], emit: Emit, seconds: float
) -> Iterator[tuple[Job, RunResult]]:
    end = time.monotonic() + seconds
    while running and (left := end - time.monotonic()) > 0:
        yield from _receive_messages(running, emit, left)


def _interrupt(running: dict[Connection, _Worker], emit: Emit) -> Iterator[tuple[Job, RunResult]]:
    """Interrupt the workers, and give them time to write their records.

    A worker that takes too long is killed; a second interrupt ends all of them. One that was killed by the same signal
    as this process was interrupted.
    """
    for worker in running.values():
        worker.interrupt()
    for job, result in _receive_until_all_ended(running, emit, _GRACE_SECONDS):
        yield job, KeyboardInterrupt() if isinstance(result, RunFailedError) else result
    for worker in running.values():
        worker.process.kill()
        yield worker.job, KeyboardInterrupt()


def _work(job: Job, max_parallel: int, connection: Connection, orders: Connection, place: dict[str, str]) -> None:
    """Run one job in this new process; only plain data are sent back."""

    def emit(hook: str, **arguments: Any) -> None:
        try:
            connection.send(("event", (hook, arguments)))
        except OSError:  # nobody listens any more: the parent is gone, which is no fault of the run
            request_interrupt()

    result: tuple[str, RunResult]
    try:
        work_for_parent(orders)
        take_place(place)
        with logs_forwarded(emit, job.spec):
            result = ("record", perform(job, emit, own_process=True, runs_at_once=max_parallel))
    except (MamlbenchError, KeyboardInterrupt) as error:
        result = ("error", error)
    except BaseException as error:
        traceback.print_exc()
        result = ("error", RunFailedError(describe_error(error)))
    with contextlib.suppress(OSError), deferred():
        connection.send(result)
        work_is_done()
        connection.close()


def _ended_without_result(exit_code: int | None) -> RunFailedError:
    """Make the error for a process that ended without sending a result."""
    if exit_code is not None and exit_code < 0:
        how, cause = f"killed by signal {-exit_code}", "too little memory is the usual cause"
    else:
        how, cause = f"exit code {exit_code}", "something in it ended the process without an exception"
    return RunFailedError(f"the run's process ended without a result ({how}); {cause}")


def _ignore_event(hook: str, **arguments: Any) -> None:
    """Ignore an event."""

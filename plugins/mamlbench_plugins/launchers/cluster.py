"""What the launchers of clusters share: pack, submit, follow, bring back, interrupt and attach."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from mamlbench import pack_job, unpack_result
from mamlbench.api import ConfigError, Emit, Job, Launcher, Options, PackedJob, PackedResult, RunFailedError
from mamlbench.interrupts import check_interrupt, deferred

if TYPE_CHECKING:
    from mamlbench.record import RunRecord

    RunResult = RunRecord | BaseException

POLL_SECONDS = 0.2
"""Time between two looks at the cells."""
GRACE_SECONDS = 60.0
"""Time for interrupted cells to come back with their records."""

Event = tuple[str, dict[str, Any]]


class ClusterOptions(Options):
    """What a cell needs, and what is done if it is lost."""

    cpus: int = Field(1, ge=1, description="processor cores of a cell; torch uses as many threads")
    gpus: float = Field(0, ge=0, description="GPUs of a cell; those with the device cuda have at least one")
    memory_gb: float = Field(0, ge=0, description="memory of a cell in GB; 0: not requested")
    retries: int = Field(
        3, ge=0, description="how often a cell whose worker was lost is run again, elsewhere if possible"
    )
    max_parallel: int = Field(0, ge=0, description="most cells that are submitted at a time; 0: all")
    runs_at_once: int = Field(1, ge=1, description="cells that share a machine, as far as you know: records keep it")
    data_dir: Path | None = Field(None, description="folder of data on the workers")
    scratch: Path | None = Field(None, description="folder of unfinished runs on the workers; shared is best")


class Cluster(Protocol):
    """A cluster to which this launcher is connected."""

    def submit(self, packed: PackedJob) -> None:
        """Run a cell as soon as there is a place for it."""

    def running(self, keys: Sequence[str]) -> set[str]:
        """Return which of these cells an earlier launcher submitted, and were not forgotten."""

    def collect(self, keys: Sequence[str]) -> tuple[list[Event], dict[str, PackedResult]]:
        """Return new events, and the cells that have ended with their results, at once."""

    def interrupt(self, keys: Sequence[str]) -> None:
        """Interrupt cells; those that have begun come back with their records."""

    def forget(self, keys: Sequence[str]) -> None:
        """Drop cells: end what still runs of them, and forget their results."""


class ClusterLauncher(Launcher):
    """Runs cells on a cluster: only specs go out, and only records with their files come back."""

    Options = ClusterOptions
    elsewhere: ClassVar[bool] = True

    @abstractmethod
    def connect(self, packed: Sequence[PackedJob], jobs: Sequence[Job]) -> AbstractContextManager[Cluster]:
        """Connect to the cluster, or start one on this machine; leave it, or end it, at the end."""

    def launch(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, RunResult]]:
        yield from self._follow(jobs, emit, attach=False)

    def attach(self, jobs: Sequence[Job], emit: Emit) -> Iterator[tuple[Job, RunResult]]:
        yield from self._follow(jobs, emit, attach=True)

    def _follow(self, jobs: Sequence[Job], emit: Emit, *, attach: bool) -> Iterator[tuple[Job, RunResult]]:
        packed = [pack_job(job) for job in jobs]
        cells = {one.key: (job, one) for job, one in zip(jobs, packed, strict=True)}
        with self.connect(packed, jobs) as cluster:
            out = dict.fromkeys(sorted(cluster.running(list(cells)), key=list(cells).index))
            waiting = [] if attach else [key for key in cells if key not in out]
            try:
                while waiting or out:
                    check_interrupt()
                    with deferred():  # an interrupt must not cut a message or a record
                        self._submit(cluster, cells, waiting, out)
                        ended = list(_ended(cluster, cells, out, emit))
                    yield from ended
                    if any(_is_interrupted(result) for _, result in ended):
                        raise KeyboardInterrupt
                    if not ended:
                        time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                yield from _interrupt(cluster, cells, out, emit)
            except GeneratorExit:  # the caller does not want the other results
                for _ in _interrupt(cluster, cells, out, _ignore_event):
                    pass
                raise

    def _submit(
        self, cluster: Cluster, cells: Mapping[str, tuple[Job, PackedJob]], waiting: list[str], out: dict[str, None]
    ) -> None:
        most = self.options.max_parallel or len(cells)
        while waiting and len(out) < most:
            key = waiting.pop(0)
            out[key] = None
            cluster.submit(cells[key][1])


def gpus_of(packed: PackedJob, options: ClusterOptions) -> float:
    """GPUs of a cell."""
    return max(options.gpus, 1 if packed.spec.device.startswith("cuda") else 0)


def require(package: str, extra: str) -> None:
    """Raise ConfigError, with what to install, if a launcher's package is missing."""
    if find_spec(package) is None:
        raise ConfigError(
            f"The launcher '{extra}' needs '{package}', which is not installed: pip install 'mamlbench[{extra}]'."
        )


def lost(error: BaseException | str) -> PackedResult:
    """The result of a cell that was lost for good."""
    return PackedResult(error=RunFailedError(f"the cell was lost: {error}"))


def _ended(
    cluster: Cluster, cells: Mapping[str, tuple[Job, PackedJob]], out: dict[str, None], emit: Emit
) -> Iterator[tuple[Job, RunResult]]:
    """Emit new events, bring back what has ended, and yield it."""
    events, ended = cluster.collect(list(out))
    for hook, arguments in events:
        emit(hook, **arguments)
    for key, result in ended.items():
        job, packed = cells[key]
        outcome = _unpacked(job, packed, result)
        del out[key]
        cluster.forget([key])
        yield job, outcome


def _unpacked(job: Job, packed: PackedJob, result: PackedResult) -> RunResult:
    try:
        return unpack_result(job, packed, result)
    except Exception as error:
        return error


def _interrupt(
    cluster: Cluster, cells: Mapping[str, tuple[Job, PackedJob]], out: dict[str, None], emit: Emit
) -> Iterator[tuple[Job, RunResult]]:
    """Interrupt the cells, give them time to come back, and drop the others."""
    with deferred():
        cluster.interrupt(list(out))
        end = time.monotonic() + GRACE_SECONDS
        try:
            while out and time.monotonic() < end:
                ended = list(_ended(cluster, cells, out, emit))
                for job, result in ended:
                    yield job, KeyboardInterrupt() if isinstance(result, RunFailedError) else result
                if not ended:
                    time.sleep(POLL_SECONDS)
        finally:
            cluster.forget(list(out))
    for key in out:
        yield cells[key][0], KeyboardInterrupt()


def _is_interrupted(result: object) -> bool:
    return isinstance(result, KeyboardInterrupt) or getattr(result, "status", "") == "interrupted"


def _ignore_event(hook: str, **arguments: Any) -> None:
    """Ignore an event."""

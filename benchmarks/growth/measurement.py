"""Time and memory of a meta-iteration for networks of increasing size, each in a new process."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import torch

from mamlbench.api import Network
from mamlbench.bench.bench_settings import BenchSetting
from mamlbench.bench.memory import START_METHOD
from mamlbench.bench.rounds import RoundStatistics, summarize
from mamlbench.bench.work import Work
from mamlbench.engine import keep_memory
from mamlbench.errors import MamlbenchError
from mamlbench.plugin import load_plugins
from mamlbench.runner.meter import peak_resident_bytes

ALGORITHMS = ("maml", "fomaml", "reptile")
SkipReason = Literal["time", "memory", "neither"]
"""The limit that a measurement exceeded; 'neither' if it failed for another reason."""
MEMORY_SHARE = 0.9
"""Fraction of the free memory that a measurement may use."""


@dataclass(frozen=True)
class GrowthSetting(BenchSetting):
    """One network on the same episodes as all others: 5-way 1-shot tasks of 3x32x32 images, five inner steps.

    Args:
        network: options of the backbone.
    """

    network: dict[str, Any] = field(default_factory=dict)

    @property
    def shared_title(self) -> str:
        """A description of what all networks have in common."""
        shape = "x".join(str(size) for size in self.shape)
        return (
            f"one meta-iteration: {self.tasks} tasks, {self.ways}-way {self.shots}-shot, {self.steps} inner steps, "
            f"{self.queries} queries per class (Reptile: none), {shape}"
        )


def _network(name: str, backbone: str, **network: Any) -> GrowthSetting:
    episodes: dict[str, Any] = {"queries": 5, "steps": 5, "shape": (3, 32, 32), "options": {"inner_batch_size": 5}}
    return GrowthSetting(name, ALGORITHMS, 4, backbone=backbone, network=network, **episodes)


NETWORKS: dict[str, GrowthSetting] = {
    setting.name: setting
    for setting in (
        _network("mlp", "mlp"),
        *(_network(f"conv4-{width}", "conv4-pooled", width=width) for width in (16, 32, 64, 128, 256)),
        _network("resnet12", "resnet12"),
        _network("resnet18", "resnet18"),
        _network("vgg16", "vgg16"),
    )
}


@dataclass(frozen=True)
class GrowthResult:
    """Time and memory of one network and algorithm.

    Args:
        network, algorithm: the work.
        parameters: number of learned parameters.
        seconds: seconds per meta-iteration.
        memory: peak bytes above a process that has computed nothing yet.
        rounds: timed meta-iterations, fewer than requested if the time limit was reached.
        skipped: the limit that was exceeded, if there are no numbers.
        note: why there are no numbers, as a sentence.
    """

    network: str
    algorithm: str
    parameters: int | None = None
    seconds: RoundStatistics | None = None
    memory: int | None = None
    rounds: int = 0
    skipped: SkipReason | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain data, for JSON."""
        seconds = self.seconds and {name: _json(value) for name, value in self.seconds._asdict().items()}
        return {**asdict(self), "seconds": seconds}


@dataclass(frozen=True)
class GrowthBench:
    """The networks to measure.

    Args:
        networks: values of ``NETWORKS``.
        engine: name of the engine.
        rounds: timed meta-iterations.
        limit: seconds per network and algorithm, including the start and one untimed meta-iteration.
    """

    networks: Sequence[GrowthSetting]
    engine: str
    rounds: int
    limit: float

    @property
    def size(self) -> int:
        """Number of measurements."""
        return sum(len(network.algorithms) for network in self.networks)

    def results(self) -> Iterator[GrowthResult]:
        """Measure one network and algorithm after the other; a failure gives a result with a note."""
        for network in self.networks:
            for algorithm in network.algorithms:
                yield self._measure(network, algorithm)

    def _measure(self, network: GrowthSetting, algorithm: str) -> GrowthResult:
        context = multiprocessing.get_context(START_METHOD)
        receiver, sender = context.Pipe(duplex=False)
        task = GrowthTask(network, algorithm, self.engine, self.rounds, time.monotonic() + self.limit)
        process = context.Process(target=_run_in_process, args=(sender, task), daemon=True)
        process.start()
        sender.close()  # otherwise the pipe would stay open after the process ends
        try:
            if not receiver.poll(self.limit):
                return _skipped(task, "time", f"took longer than {self.limit:g} s")
            return receiver.recv()  # type: ignore[no-any-return]
        except EOFError:
            process.join()
            killed = process.exitcode == -9
            event = "was killed, probably because memory ran out" if killed else "died"
            note = f"its process {event} (exit code {process.exitcode})"
            return _skipped(task, "memory" if killed else "neither", note)
        finally:
            process.kill()
            process.join()
            receiver.close()


@dataclass(frozen=True)
class GrowthTask:
    """The work of one process; ``deadline`` is in seconds of the machine's monotonic clock."""

    network: GrowthSetting
    algorithm: str
    engine: str
    rounds: int
    deadline: float


class GrowthWork(Work):
    """The work, with the options of its network."""

    def network(self, outputs: int) -> Network:
        """Build the network, always with the same parameters."""
        setting = self.setting
        assert isinstance(setting, GrowthSetting)
        plugin = self.registry.load("backbone", setting.backbone)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return plugin(plugin.Options(**setting.network)).build(setting.shape, outputs)  # type: ignore[no-any-return]

    @cached_property
    def parameters(self) -> int:
        """Number of learned parameters."""
        return sum(value.numel() for value in self.network(self.setting.ways).parameters())


def _run_in_process(sender: Connection, task: GrowthTask) -> None:
    """Measure, and send the result to the parent process."""
    free = _limit_memory()
    try:
        result = measure(task)
    except MamlbenchError as error:
        result = _skipped(task, "neither", str(error))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):  # torch's allocator raises RuntimeError
            raise
        result = _skipped(task, "memory", f"does not fit into {free / 2**30:.1f} GiB of free memory")
    sender.send(result)


def measure(task: GrowthTask) -> GrowthResult:
    """Run one untimed meta-iteration, then the requested number of timed ones, or as many as the deadline allows."""
    keep_memory()
    work = GrowthWork(task.network, task.algorithm, load_plugins().registry)
    parameters, compute = work.parameters, work.with_engine(task.engine)
    idle = peak_resident_bytes()
    compute()  # one-time setup is not timed
    seconds: list[float] = []
    for _ in range(task.rounds):
        start = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - start)
        if time.monotonic() + 1.5 * seconds[-1] > task.deadline:
            break
    peak = peak_resident_bytes()
    memory = None if idle is None or peak is None else peak - idle
    return GrowthResult(task.network.name, task.algorithm, parameters, summarize(seconds), memory, len(seconds))


def _skipped(task: GrowthTask, skipped: SkipReason, note: str) -> GrowthResult:
    return GrowthResult(task.network.name, task.algorithm, skipped=skipped, note=note)


def _json(value: Any) -> Any:
    """Replace NaN, which JSON lacks: the interval of a few rounds is NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _limit_memory() -> int:
    """Limit this process to the free memory, so that only it fails if a network does not fit.

    Returns the number of free bytes. Without this information (outside Linux) nothing is limited, and 0 is returned.
    """
    try:
        import resource

        meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(MEMORY_SHARE * int(meminfo["MemAvailable"].split()[0]) * 1024)
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()  # data and stack
        resource.setrlimit(resource.RLIMIT_DATA, (used + free, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    except (ImportError, OSError, KeyError, ValueError):
        return 0
    return free

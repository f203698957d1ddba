"""What a meta-iteration costs as the network grows: each network and algorithm in a process of its own."""

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

from mamlbench.api import Model
from mamlbench.bench.bench_settings import Setting
from mamlbench.bench.memory import START_METHOD
from mamlbench.bench.rounds import Spread, spread
from mamlbench.bench.work import Work
from mamlbench.engine import keep_memory
from mamlbench.errors import MamlbenchError
from mamlbench.plugin import load_plugins
from mamlbench.runner.meter import peak_resident_bytes

ALGORITHMS = ("maml", "fomaml", "reptile")
Skipped = Literal["time", "memory", "neither"]
"""What a cell had too little of; neither, where it failed for another reason."""
MEMORY_SHARE = 0.9
"""Of the memory that is free when a cell begins: more it may not take."""


@dataclass(frozen=True)
class Growth(Setting):
    """The same episodes for every network: 5-way 1-shot tasks of 3x32x32 images, five inner steps.

    Args:
        network: options of the backbone.
    """

    network: dict[str, Any] = field(default_factory=dict)

    @property
    def title_of_all(self) -> str:
        """What is the same for every network, in words."""
        shape = "x".join(str(size) for size in self.shape)
        return (
            f"one meta-iteration: {self.tasks} tasks, {self.ways}-way {self.shots}-shot, {self.steps} inner steps, "
            f"{self.queries} queries per class (Reptile: none), {shape}"
        )


def _network(name: str, backbone: str, **network: Any) -> Growth:
    given: dict[str, Any] = {"queries": 5, "steps": 5, "shape": (3, 32, 32), "options": {"inner_batch_size": 5}}
    return Growth(name, ALGORITHMS, 4, backbone=backbone, network=network, **given)


NETWORKS: dict[str, Growth] = {
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
class Cell:
    """One network and algorithm.

    Args:
        network, algorithm: the work.
        parameters: numbers that the network learns.
        seconds: per meta-iteration.
        memory: peak bytes above a process that has computed nothing yet.
        rounds: timed meta-iterations, fewer than asked for where time was up.
        skipped: what there was too little of, where there are no figures.
        note: why there are none, in words.
    """

    network: str
    algorithm: str
    parameters: int | None = None
    seconds: Spread | None = None
    memory: int | None = None
    rounds: int = 0
    skipped: Skipped | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        seconds = self.seconds and {name: _json(value) for name, value in self.seconds._asdict().items()}
        return {**asdict(self), "seconds": seconds}


@dataclass(frozen=True)
class GrowthBench:
    """What to measure.

    Args:
        networks: of ``NETWORKS``.
        engine: name of the engine.
        rounds: timed meta-iterations.
        limit: seconds that a cell may take, its start and one untimed meta-iteration included.
        files: plugin files to load.
    """

    networks: Sequence[Growth]
    engine: str
    rounds: int
    limit: float
    files: Sequence[Path] = ()

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(len(network.algorithms) for network in self.networks)

    def cells(self) -> Iterator[Cell]:
        """Measure one cell after the other; one that fails is a cell with a note."""
        for network in self.networks:
            for algorithm in network.algorithms:
                yield self._cell(network, algorithm)

    def _cell(self, network: Growth, algorithm: str) -> Cell:
        context = multiprocessing.get_context(START_METHOD)
        receiver, sender = context.Pipe(duplex=False)
        task = Task(network, algorithm, self.engine, self.rounds, time.time() + self.limit, tuple(self.files))
        process = context.Process(target=_work, args=(sender, task), daemon=True)
        process.start()
        sender.close()  # else the end of the process would not end the pipe
        try:
            if not receiver.poll(self.limit):
                return _skipped(task, "time", f"took longer than {self.limit:g} s")
            return receiver.recv()  # type: ignore[no-any-return]
        except EOFError:
            process.join()
            killed = process.exitcode == -9
            died = "was killed, as happens when memory runs out" if killed else "died"
            said = f"its process {died} (exit code {process.exitcode})"
            return _skipped(task, "memory" if killed else "neither", said)
        finally:
            process.kill()
            process.join()
            receiver.close()


@dataclass(frozen=True)
class Task:
    """What the process of a cell is told; ``until`` is when it must have answered, in seconds since the epoch."""

    network: Growth
    algorithm: str
    engine: str
    rounds: int
    until: float
    files: tuple[Path, ...]


class GrowthWork(Work):
    """The work with the options of its network."""

    def build(self, outputs: int, **options: Any) -> Model:
        setting = self.setting
        assert isinstance(setting, Growth)
        plugin = self.registry.load("backbone", setting.backbone)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Model(plugin(plugin.Options(**{**setting.network, **options})).build(setting.shape, outputs))

    @cached_property
    def parameters(self) -> int:
        """Numbers that the network learns."""
        return sum(value.numel() for value in self.build(self.setting.ways).network.parameters())


def _work(answer: Connection, task: Task) -> None:
    """Run in the process of the cell."""
    free = _limit_memory()
    try:
        cell = measure(task)
    except MamlbenchError as error:
        cell = _skipped(task, "neither", str(error))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):  # torch's allocator raises this one
            raise
        cell = _skipped(task, "memory", f"does not fit into {free / 2**30:.1f} GiB of free memory")
    answer.send(cell)


def measure(task: Task) -> Cell:
    """One untimed meta-iteration, then as many timed ones as were asked for or fit before the end."""
    keep_memory()
    work = GrowthWork(task.network, task.algorithm, load_plugins(task.files).registry)
    parameters, compute = work.parameters, work.ours(task.engine)
    idle = peak_resident_bytes()
    compute()  # what is set up once is not timed
    seconds: list[float] = []
    for _ in range(task.rounds):
        began = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - began)
        if time.time() + 1.5 * seconds[-1] > task.until:
            break
    peak = peak_resident_bytes()
    memory = None if idle is None or peak is None else peak - idle
    return Cell(task.network.name, task.algorithm, parameters, spread(seconds), memory, len(seconds))


def _skipped(task: Task, skipped: Skipped, note: str) -> Cell:
    return Cell(task.network.name, task.algorithm, skipped=skipped, note=note)


def _json(value: Any) -> Any:
    """JSON has no nan, which the interval of a few rounds is."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _limit_memory() -> int:
    """Let this process take no more than is free, so that a cell that does not fit ends itself and nothing else.

    Returns the bytes that are free; where the system does not tell (it is not Linux), nothing is limited.
    """
    try:
        import resource

        told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(MEMORY_SHARE * int(told["MemAvailable"].split()[0]) * 1024)
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()  # data and stack
        resource.setrlimit(resource.RLIMIT_DATA, (used + free, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    except (ImportError, OSError, KeyError, ValueError):
        return 0
    return free

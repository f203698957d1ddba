"""Running a benchmark: every setting, algorithm and competitor, in interleaved rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from mamlbench.bench.bench_settings import BenchSetting
from mamlbench.bench.machine import matrix_product_peak, operations
from mamlbench.bench.memory import PLAIN, computation, peak_above_idle
from mamlbench.bench.rounds import RoundStatistics, interleaved, speedup, summarize
from mamlbench.bench.training import TrainingIterations
from mamlbench.bench.work import Work
from mamlbench.engine import keep_memory
from mamlbench.errors import DataError
from mamlbench.nn.precision import relative_difference
from mamlbench.plugin import Plugins
from mamlbench.run_spec import Folders, Precision

REFERENCE = "loop"
FIRST_ORDER = "fomaml"


@dataclass(frozen=True)
class BenchResult:
    """Time and memory of one competitor on one setting and algorithm.

    Args:
        setting, algorithm: the work.
        competitor: name of an engine or a peer.
        seconds: seconds per iteration.
        speedup: speedup over the base, round by round; None for the base itself.
        difference: relative difference of its result from the loop's.
        memory: peak bytes above idle, if measured.
        memory_ratio: that peak as a multiple of first-order MAML's with the same engine, if known.
        peak_fraction: arithmetic rate as a fraction of the machine's matrix-product peak; operations are counted on the
            loop.
        note: why there are no numbers.
    """

    setting: str
    algorithm: str
    competitor: str
    seconds: RoundStatistics | None = None
    speedup: RoundStatistics | None = None
    difference: float | None = None
    memory: int | None = None
    memory_ratio: float | None = None
    peak_fraction: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain data, for JSON."""
        statistics = {"seconds": self.seconds, "speedup": self.speedup}
        return {**asdict(self), **{name: value and value._asdict() for name, value in statistics.items()}}


@dataclass(frozen=True)
class Bench:
    """The settings and competitors to measure.

    Args:
        settings: settings to time.
        engines: names of engines; if empty, those of each setting.
        peers: names of peers; one that is not installed gets a result with a note.
        rounds: number of timed rounds.
        base: competitor that speedups are relative to; if empty, each setting's; the loop if it did not run.
        memory: whether to measure peak memory too, each in a new process.
        folders: folders of data sets, for trainings.
        precision: precision of the engines; peers and plain loops support only float32, and are omitted otherwise.
    """

    settings: Sequence[BenchSetting]
    engines: Sequence[str]
    peers: Sequence[str]
    rounds: int
    base: str = ""
    memory: bool = False
    folders: Folders | None = None
    precision: Precision = "float32"

    def results(self, plugins: Plugins, progress: Callable[[str, int, int], None]) -> Iterator[list[BenchResult]]:
        """Yield the results of each setting and algorithm; ``progress(title, done, total)`` is called after each."""
        keep_memory()
        peak = matrix_product_peak()
        for setting in self.settings:
            first_order: dict[str, int | None] = {}
            for algorithm in sorted(setting.algorithms, key=lambda name: name != FIRST_ORDER):
                try:
                    work = self._work(setting, algorithm, plugins)
                except DataError as error:
                    yield [BenchResult(setting.name, algorithm, setting.dataset, note=str(error))]
                    continue
                results = self._measure(work, plugins, peak, progress)
                if algorithm == FIRST_ORDER:
                    first_order = {result.competitor: result.memory for result in results}
                yield [_with_memory_ratio(result, first_order) for result in results]

    def _work(self, setting: BenchSetting, algorithm: str, plugins: Plugins) -> Work | TrainingIterations:
        if setting.work != "training":
            return Work(setting, algorithm, plugins.registry, self.precision)
        if self.folders is None:
            raise DataError("No folder of data sets was set.")
        work = TrainingIterations(setting, algorithm, plugins, self.folders, self.precision)
        work.dataset  # noqa: B018 (raises DataError if it is missing)
        return work

    def _measure(
        self, work: Work | TrainingIterations, plugins: Plugins, peak: float, progress: Callable[[str, int, int], None]
    ) -> list[BenchResult]:
        title = f"{work.setting.name}, {work.algorithm}"
        # A training has no reference: peers draw other episodes, and its iterations change the parameters.
        reference, operation_count = (None, None) if isinstance(work, TrainingIterations) else _reference(work)
        competitors, absent = self._competitors(work)
        times: dict[str, list[float]] = {name: [] for name in competitors}
        for done, (name, seconds) in enumerate(interleaved(competitors, self.rounds), 1):
            times[name].append(seconds)
            progress(title, done, self.rounds * len(competitors))
        base = self.base or work.setting.base
        base = base if base in competitors else REFERENCE
        results = []
        for name, compute in competitors.items():
            statistics = summarize(times[name])
            result = BenchResult(
                work.setting.name,
                work.algorithm,
                name,
                seconds=statistics,
                speedup=speedup(times[base], times[name]) if base in times and name != base else None,
                difference=None if reference is None else relative_difference(_flat(compute()), reference),
                memory=self._memory(work, name, plugins),
                peak_fraction=None if operation_count is None else operation_count / statistics.median / peak,
            )
            results.append(result)
        return results + absent

    def _memory(self, work: Work | TrainingIterations, competitor: str, plugins: Plugins) -> int | None:
        if isinstance(work, TrainingIterations) or not (self.memory or work.setting.memory):
            return None
        return peak_above_idle(work.setting, work.algorithm, competitor, plugins.files, self.precision)

    def _competitors(self, work: Work | TrainingIterations) -> tuple[dict[str, Callable[[], Any]], list[BenchResult]]:
        """Return the function of each competitor, and a result with a note for each that is not installed."""
        functions, absent = {}, []
        for name in (*(self.engines or work.setting.engines), *self.peers):
            if self.precision != "float32" and (name == PLAIN or name in self.peers):
                continue
            try:
                functions[name] = computation(work, name)
            except NotImplementedError:  # not timed on this setting
                continue
            except ImportError as error:
                absent.append(BenchResult(work.setting.name, work.algorithm, name, note=f"not installed: {error}"))
        return functions, absent


def _reference(work: Work) -> tuple[Tensor, int]:
    """Return the loop's result, and its number of operations."""
    reference = work.with_engine(REFERENCE)
    return _flat(reference()), operations(reference)


def _with_memory_ratio(result: BenchResult, first_order: dict[str, int | None]) -> BenchResult:
    """Add the ratio to the memory of first-order MAML with the same engine (without remat, which it does not need)."""
    base = first_order.get(result.competitor.removesuffix("+remat"))
    return result if result.memory is None or not base else replace(result, memory_ratio=result.memory / base)


def _flat(result: Any) -> Tensor:
    if isinstance(result, Tensor):
        return result.flatten()
    return torch.cat([result[name].flatten() for name in sorted(result)])


def describe_peers(names: Sequence[str], plugins: Plugins) -> dict[str, str]:
    """Return for each peer its version (empty if it is not installed) and the call that is timed."""
    descriptions = {}
    for name in names:
        peer = plugins.registry.load("peer", name)
        try:
            version = metadata.version(peer.package)
        except metadata.PackageNotFoundError:
            version = ""
        descriptions[name] = f"{peer.package} {version}: {peer.call}".replace(" :", ":")
    return descriptions

"""One bench: every setting, algorithm and competitor, in interleaved rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from mamlbench.bench.bench_settings import Setting
from mamlbench.bench.machine import matrix_product_peak, operations
from mamlbench.bench.memory import PLAIN, computation, peak_above_idle
from mamlbench.bench.rounds import Spread, interleaved, ratios, spread
from mamlbench.bench.training import TrainingIterations
from mamlbench.bench.work import Work
from mamlbench.engine import keep_memory
from mamlbench.engine.equivalence import relative_difference
from mamlbench.errors import DataError
from mamlbench.plugin import Plugins
from mamlbench.run_spec import Folders, Precision

REFERENCE = "loop"
FIRST_ORDER = "fomaml"


@dataclass(frozen=True)
class Row:
    """One competitor on one setting and algorithm.

    Args:
        setting, algorithm: the work.
        who: an engine's or a peer's name.
        seconds: per iteration.
        speed: how many times as fast as the base, round by round; None for the base itself.
        difference: of its result from the loop's, relative.
        memory: peak bytes above idle, where asked for.
        of_first_order: that peak as a multiple of first-order MAML's with the same engine, where that is known.
        of_peak: share of the machine's matrix-product peak that the work's arithmetic makes, counted on the loop.
        note: why there are no figures.
    """

    setting: str
    algorithm: str
    who: str
    seconds: Spread | None = None
    speed: Spread | None = None
    difference: float | None = None
    memory: int | None = None
    of_first_order: float | None = None
    of_peak: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        spreads = {
            name: value and value._asdict() for name, value in (("seconds", self.seconds), ("speed", self.speed))
        }
        return {**asdict(self), **spreads}


@dataclass(frozen=True)
class Bench:
    """What to measure.

    Args:
        settings: shapes of work.
        engines: names of engines; none: those of each setting.
        peers: names of peers; one that is not installed gets a row that says so.
        rounds: timed rounds.
        base: whom speeds are relative to, empty: each setting's; the loop where it did not run.
        memory: whether peak memory is measured too, each in a process of its own.
        folders: where data sets lie, for whole trainings.
        precision: numbers that engines compute in; peers and plain loops know float32 alone, and are left out else.
    """

    settings: Sequence[Setting]
    engines: Sequence[str]
    peers: Sequence[str]
    rounds: int
    base: str = ""
    memory: bool = False
    folders: Folders | None = None
    precision: Precision = "float32"

    def rows(self, plugins: Plugins, tell: Callable[[str, int, int], None]) -> Iterator[list[Row]]:
        """Yield the rows of each setting and algorithm; ``tell(what, done, of)`` hears of the progress."""
        keep_memory()
        peak = matrix_product_peak()
        for setting in self.settings:
            first_order: dict[str, int | None] = {}
            for algorithm in sorted(setting.algorithms, key=lambda name: name != FIRST_ORDER):
                try:
                    work = self._work(setting, algorithm, plugins)
                except DataError as error:
                    yield [Row(setting.name, algorithm, setting.dataset, note=str(error))]
                    continue
                rows = self._cell(work, plugins, peak, tell)
                if algorithm == FIRST_ORDER:
                    first_order = {row.who: row.memory for row in rows}
                yield [_with_first_order(row, first_order) for row in rows]

    def _work(self, setting: Setting, algorithm: str, plugins: Plugins) -> Work | TrainingIterations:
        if setting.work != "training":
            return Work(setting, algorithm, plugins.registry, self.precision)
        if self.folders is None:
            raise DataError("no folder of data sets was given.")
        work = TrainingIterations(setting, algorithm, plugins, self.folders, self.precision)
        work.dataset  # noqa: B018 (a set that is missing is told now)
        return work

    def _cell(
        self, work: Work | TrainingIterations, plugins: Plugins, peak: float, tell: Callable[[str, int, int], None]
    ) -> list[Row]:
        title = f"{work.setting.name}, {work.algorithm}"
        truth, arithmetic = (None, None) if isinstance(work, TrainingIterations) else _reference(work)
        competitors, absent = self._competitors(work)
        times: dict[str, list[float]] = {who: [] for who in competitors}
        for done, (who, seconds) in enumerate(interleaved(competitors, self.rounds)):
            times[who].append(seconds)
            tell(title, done + 1, self.rounds * len(competitors))
        wanted = self.base or work.setting.base
        base = wanted if wanted in competitors else REFERENCE
        rows = []
        for who, compute in competitors.items():
            taken = spread(times[who])
            rows.append(
                Row(
                    work.setting.name,
                    work.algorithm,
                    who,
                    seconds=taken,
                    speed=ratios(times[base], times[who]) if base in times and who != base else None,
                    difference=None if truth is None else relative_difference(_flat(compute()), truth),
                    memory=self._memory(work, who, plugins),
                    of_peak=None if arithmetic is None else arithmetic / taken.median / peak,
                )
            )
        return rows + absent

    def _memory(self, work: Work | TrainingIterations, who: str, plugins: Plugins) -> int | None:
        if isinstance(work, TrainingIterations) or not (self.memory or work.setting.memory):
            return None
        return peak_above_idle(work.setting, work.algorithm, who, plugins.files, self.precision)

    def _competitors(self, work: Work | TrainingIterations) -> tuple[dict[str, Callable[[], Any]], list[Row]]:
        found, absent = {}, []
        for who in (*(self.engines or work.setting.engines), *self.peers):
            if self.precision != "float32" and (who == PLAIN or who in self.peers):
                continue
            try:
                found[who] = computation(work, who)
            except NotImplementedError:
                continue
            except ImportError as error:
                absent.append(Row(work.setting.name, work.algorithm, who, note=f"not installed: {error}"))
        return found, absent


def _reference(work: Work) -> tuple[Tensor, int]:
    """What the loop computes, and how many operations that takes."""
    reference = work.ours(REFERENCE)
    return _flat(reference()), operations(reference)


def _with_first_order(row: Row, memory: dict[str, int | None]) -> Row:
    """Add what first-order MAML takes with the same engine (which differentiates through no step)."""
    first = memory.get(row.who.removesuffix("+remat"))
    return row if row.memory is None or not first else replace(row, of_first_order=row.memory / first)


def _flat(result: Any) -> Tensor:
    if isinstance(result, Tensor):
        return result.flatten()
    return torch.cat([result[name].flatten() for name in sorted(result)])


def about_peers(names: Sequence[str], plugins: Plugins) -> dict[str, str]:
    """Version of each peer, empty where it is not installed, and which call of it is timed."""
    said = {}
    for name in names:
        peer = plugins.registry.load("peer", name)
        try:
            version = metadata.version(peer.package)
        except metadata.PackageNotFoundError:
            version = ""
        said[name] = f"{peer.package} {version}: {peer.call}".replace(" :", ":")
    return said

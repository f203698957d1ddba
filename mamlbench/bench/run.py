"""One bench: every setting, algorithm and competitor, in interleaved rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from mamlbench.bench.machine import matrix_product_peak, operations
from mamlbench.bench.memory import computation, peak_above_idle
from mamlbench.bench.rounds import Spread, interleaved, ratios, spread
from mamlbench.bench.settings import Setting
from mamlbench.bench.work import Work
from mamlbench.engine import keep_memory
from mamlbench.engine.agreement import relative_difference
from mamlbench.plugin import Plugins

REFERENCE = "loop"


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
        engines: names of engines.
        peers: names of peers; one that is not installed gets a row that says so.
        rounds: timed rounds.
        base: whom speeds are relative to; the loop where it did not run.
        memory: whether peak memory is measured too, each in a process of its own.
    """

    settings: Sequence[Setting]
    engines: Sequence[str]
    peers: Sequence[str]
    rounds: int
    base: str
    memory: bool = False

    def rows(self, plugins: Plugins, tell: Callable[[str, int, int], None]) -> Iterator[list[Row]]:
        """Yield the rows of each setting and algorithm; ``tell(what, done, of)`` hears of the progress."""
        keep_memory()
        peak = matrix_product_peak()
        for setting in self.settings:
            for algorithm in setting.algorithms:
                yield self._cell(Work(setting, algorithm, plugins.registry), plugins, peak, tell)

    def _cell(self, work: Work, plugins: Plugins, peak: float, tell: Callable[[str, int, int], None]) -> list[Row]:
        title = f"{work.setting.name}, {work.algorithm}"
        reference = work.ours(REFERENCE)
        truth, arithmetic = _flat(reference()), operations(reference)
        competitors, absent = self._competitors(work)
        times: dict[str, list[float]] = {who: [] for who in competitors}
        for done, (who, seconds) in enumerate(interleaved(competitors, self.rounds)):
            times[who].append(seconds)
            tell(title, done + 1, self.rounds * len(competitors))
        base = self.base if self.base in competitors else REFERENCE
        rows = []
        for who, compute in competitors.items():
            taken = spread(times[who])
            rows.append(
                Row(
                    work.setting.name, work.algorithm, who,
                    seconds=taken,
                    speed=ratios(times[base], times[who]) if base in times and who != base else None,
                    difference=relative_difference(_flat(compute()), truth),
                    memory=self._memory(work, who, plugins),
                    of_peak=arithmetic / taken.median / peak,
                )
            )  # fmt: skip
        return rows + absent

    def _memory(self, work: Work, who: str, plugins: Plugins) -> int | None:
        return peak_above_idle(work.setting, work.algorithm, who, plugins.files) if self.memory else None

    def _competitors(self, work: Work) -> tuple[dict[str, Callable[[], Any]], list[Row]]:
        found, absent = {}, []
        for who in (*self.engines, *self.peers):
            try:
                found[who] = computation(work, who)
            except NotImplementedError:
                continue
            except ImportError as error:
                absent.append(Row(work.setting.name, work.algorithm, who, note=f"not installed: {error}"))
        return found, absent


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

"""Which strategy runs: the one asked for, or the fastest of those that compute the right thing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from mamlbench.api import Engine
from mamlbench.engine.autotune_cache import AutotuneCache
from mamlbench.engine.equivalence import Reference
from mamlbench.engine.registry import is_engine, make_engine
from mamlbench.engine.vmap import VmapEngine
from mamlbench.errors import MamlbenchError
from mamlbench.run_spec import Precision

TRIAL_SHARE, TRIAL_SECONDS = 0.03, 30.0
"""Trials may take this share of the planned training, and no longer than this many seconds."""
COMPILING_SECONDS, COMPILING_SHARE = 240.0, 0.1
"""Compiling and checking take about so long on two cores; tried where that is at most this share of the training."""
ROUNDS, ENOUGH_ROUNDS = 5, 3
"""Timed rounds, and how many make a time that a choice may rest on: one round is mostly noise."""
CLEARLY = 0.95
"""The first candidate is left for another only where that takes at most this share of its time."""
EXAMPLE_BYTES_AT_ONCE = 10 << 20
"""A CPU computes no more tasks together than have so many bytes of examples (counted as ``Workload.task_bytes``): the
activations of a convolutional network take some hundred times as much."""
HOPELESS = 1.5
"""A strategy that took so many times the fastest one's first time is not timed again."""


class Workload(Protocol):
    """What an engine is chosen for: one algorithm, network and batch of tasks.

    Attributes:
        tasks: tasks in a batch.
        task_bytes: size of one task's examples, counted as often as a gradient remembers passes over them, where
            memory is to be spared (on a CPU); else 0.
        iterations: planned batches.
        vectorizes: whether the algorithm says that its tasks can be computed together.
        differentiates: whether the engine differentiates through inner steps.
        trains: whether training uses the engine at all.
        precision: numbers that the run computes in.
    """

    tasks: int
    task_bytes: int
    iterations: int
    vectorizes: bool
    differentiates: bool
    trains: bool
    precision: Precision

    def outcome(self, engine: Engine, *, precision: Precision, nudge: int = 0) -> Tensor:
        """Everything an engine computes, on a small part of a batch, flat (``equivalence.Outcome``)."""

    def batch(self, engine: Engine) -> Callable[[], object]:
        """A function that computes the update of a whole batch."""


@dataclass
class Trial:
    """One candidate: its times, or why it was dropped."""

    name: str
    seconds: list[float] = field(default_factory=list)
    dropped: str = ""

    @property
    def median(self) -> float:
        """Median seconds per batch; infinite for one that was dropped or not timed."""
        return statistics.median(self.seconds) if self.seconds and not self.dropped else float("inf")

    def facts(self) -> dict[str, object]:
        """What the record keeps."""
        if self.dropped:
            return {"name": self.name, "dropped": self.dropped}
        if not self.seconds:
            return {"name": self.name, "rounds": 0}
        return {"name": self.name, "milliseconds": round(self.median * 1e3, 1), "rounds": len(self.seconds)}


@dataclass(frozen=True)
class Choice:
    """An engine, why it was taken, and what was tried."""

    engine: Engine
    reason: str
    trials: tuple[Trial, ...] = ()


def choose_engine(
    name: str,
    workload: Workload,
    remembered: AutotuneCache | None = None,
    tell: Callable[[str], object] = str,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """Choose an engine.

    With 'auto' every candidate is checked against the loop and dropped, with its reason, where it fails or disagrees.
    Those that are left are timed in interleaved rounds on the real batch, as far as the planned length of the training
    pays for it; otherwise the first that agrees is taken.

    Args:
        name: 'auto', or an engine's name, which is taken unchecked.
        workload: what the engine is for.
        remembered: choices made before on this machine.
        tell: called with the name of each candidate before it is tried.
        clock: seconds since any fixed moment; candidates are timed with it.

    Raises:
        ConfigError: for an unknown name, or whatever the workload itself cannot be built with.
    """
    if name != "auto":
        return Choice(make_engine(name), "asked for")
    return _Chooser(workload, tell, clock).choose(remembered)


class _Chooser:
    def __init__(self, workload: Workload, tell: Callable[[str], object], clock: Callable[[], float]) -> None:
        self.workload = workload
        self.tell = tell
        self.clock = clock
        self.reference = Reference(workload.outcome, workload.precision)
        self._trials: dict[str, Trial] = {}

    def choose(self, remembered: AutotuneCache | None) -> Choice:
        if not self.workload.vectorizes:
            return self._choice("loop", "the algorithm declares that its tasks cannot be vectorized")
        known = remembered.recall() if remembered is not None else None
        if known is not None and is_engine(known) and self._passes(known):
            return self._choice(known, f"remembered: fastest when timed on this machine; {self.reference.description}")
        vectorized = [name for name in self._eager() if name.startswith("vmap")]
        first = next((name for name in vectorized if self._passes(name) and self._fits(name)), "loop")
        if first == "loop":
            return self._choice("loop", self._why_dropped())
        if not self.workload.trains:
            return self._choice(first, f"first that can take this algorithm and network; {self.reference.description}")
        planned = self._trials[first].median * self.workload.iterations
        budget = min(TRIAL_SHARE * planned, TRIAL_SECONDS)
        if budget < 4 * self._trials[first].median:
            return self._choice(first, f"not timed, for so short a training; {self.reference.description}")
        self._try_all(first, budget, compiled=COMPILING_SHARE * planned >= COMPILING_SECONDS)
        return self._fastest(self._trials[first], remembered)

    def _fastest(self, first: Trial, remembered: AutotuneCache | None) -> Choice:
        """The fastest where times are well enough known, else the first."""
        known = [trial for trial in self._trials.values() if len(trial.seconds) >= ENOUGH_ROUNDS]
        if first not in known:
            reason = f"the first to agree; {len(self._trials)} tried, for too short a time to tell which is fastest"
            return self._choice(first.name, f"{reason}; {self.reference.description}")
        best = min(known, key=lambda trial: trial.median)
        best = best if best.median <= CLEARLY * first.median else first
        if remembered is not None:
            remembered.keep(best.name)
        return self._choice(best.name, f"fastest of {len(self._trials)} tried; {self.reference.description}")

    def _try_all(self, first: str, budget: float, *, compiled: bool) -> None:
        """Time what agrees: once each, then in whole rounds those that may still win, until the budget is spent."""
        if compiled:  # compiling has its own budget
            self._first_time(["vmap+compiled"])
        end = self.clock() + budget
        self._first_time(self._eager(), end)
        best = min(trial.median for trial in self._trials.values())
        hopeful = [t for t in self._trials.values() if t.median <= HOPELESS * best or t.name == first]
        for _ in range(ROUNDS - 1):
            if self.clock() > end:
                return
            for trial in hopeful:
                self._time(trial.name)

    def _first_time(self, names: Iterable[str], end: float = float("inf")) -> None:
        for name in names:
            if self.clock() < end and self._passes(name) and not self._trials[name].seconds:
                self._time(name)

    def _eager(self) -> list[str]:
        """Candidates, most promising first."""
        tasks = self.workload.tasks
        chunks = [f"vmap[{size}]" for size in dict.fromkeys((tasks // 2, tasks // 4, self._most())) if size >= 2]
        if not self.workload.differentiates:
            return ["vmap", *chunks, "loop"]
        return ["vmap", "vmap+remat", *chunks, "loop", "loop+remat"]

    def _passes(self, name: str) -> bool:
        """Check a candidate against the loop; one that does not pass is kept as a dropped trial."""
        if name in self._trials:
            return not self._trials[name].dropped
        trial = self._trials[name] = Trial(name)
        self.tell(name)
        try:
            trial.dropped = self._too_large(name) or self.reference.objection(make_engine(name))
        except MamlbenchError:
            raise  # what cannot be built at all is the run's own error
        except Exception as error:  # whatever torch raises for what it cannot vectorize or compile
            trial.dropped = f"{type(error).__name__}: {_first_line(error)}"
        return not trial.dropped

    def _most(self) -> int:
        """The most tasks that may be computed together, if less than a quarter of them; 0 otherwise."""
        fitting = EXAMPLE_BYTES_AT_ONCE // max(1, self.workload.task_bytes)
        quarter = self.workload.tasks // 4
        return max((n for n in range(2, min(fitting, quarter) + 1) if self.workload.tasks % n == 0), default=0)

    def _too_large(self, name: str) -> str:
        """Why so many tasks are not to be computed together; empty where they may be."""
        engine = make_engine(name)
        if not isinstance(engine, VmapEngine):
            return ""
        size = self.workload.task_bytes * (engine.chunk or self.workload.tasks)
        if size <= EXAMPLE_BYTES_AT_ONCE:
            return ""
        return f"{size / 1e6:.0f} MB of examples at once would take too much memory"

    def _fits(self, name: str) -> bool:
        """Whether a whole batch can be computed, where training has to; it is timed on the way."""
        if self.workload.trains:
            self._time(name)
        return not self._trials[name].dropped

    def _time(self, name: str) -> None:
        """Compute a whole batch and note the seconds; the first time does not count where it warms up."""
        trial = self._trials[name]
        compute = self.workload.batch(make_engine(name))
        try:
            if not trial.seconds:
                compute()
            began = self.clock()
            compute()
        except Exception as error:  # the whole batch may not fit where its part did
            trial.dropped = f"{type(error).__name__}: {_first_line(error)}"
            return
        trial.seconds.append(self.clock() - began)

    def _choice(self, name: str, reason: str) -> Choice:
        return Choice(make_engine(name), reason, tuple(self._trials.values()))

    def _why_dropped(self) -> str:
        return "; ".join(f"{trial.name}: {trial.dropped}" for trial in self._trials.values() if trial.dropped)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]

"""Chooses the engine of a run: the requested one, or the fastest of those that compute what the loop computes.

A wrong engine is worse than a slow one: every candidate is checked before it is timed. A choice must not cost more than
it saves either: trials take a small share of the planned training, and a short training takes the first that passes.
"""

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
from mamlbench.interrupts import check_interrupt
from mamlbench.run_spec import Precision

TRIAL_SHARE, TRIAL_SECONDS = 0.03, 30.0
"""Largest share of the planned training that trials may take, and their most seconds."""
COMPILING_SECONDS, COMPILING_SHARE = 240.0, 0.1
"""Seconds that compiling and checking take on two cores; the largest share of the training at which it is tried."""
ROUNDS, MIN_ROUNDS = 5, 3
"""Timed rounds, and the least number of rounds for a time to count: a single round is mostly noise."""
CLEARLY_FASTER = 0.95
"""A later candidate replaces the first one only if it takes at most this share of the first one's time."""
MAX_EXAMPLE_BYTES = 10 << 20
"""Most bytes of examples (counted as ``Workload.task_bytes``) in the tasks that are vectorized together on a CPU: the
activations of a convolutional network take some hundred times as much."""
TOO_SLOW = 1.5
"""Ratio to the fastest candidate's time above which a candidate is timed only once."""


OnTrial = Callable[[str, float | None], object]


def no_trial(name: str, seconds: float | None) -> None:
    """Do nothing before a trial."""


class Workload(Protocol):
    """What an engine is chosen for: one algorithm, network and batch of tasks.

    Attributes:
        tasks: tasks in a batch.
        task_bytes: size of one task's examples, counted once for every pass over them whose activations a gradient
            keeps; 0 if memory need not be saved (on a GPU).
        iterations: planned batches.
        vectorizes: whether the algorithm declares that its tasks can be vectorized.
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
        """Return everything an engine computes on a small part of a batch, flat (``equivalence.Outcome``)."""

    def batch(self, engine: Engine) -> Callable[[], object]:
        """Return a function that computes the update of a whole batch."""


@dataclass
class Trial:
    """One candidate: its seconds per batch, or why it was dropped."""

    name: str
    seconds: list[float] = field(default_factory=list)
    dropped: str = ""

    @property
    def median(self) -> float:
        """Median seconds per batch; infinite for one that was dropped or not timed."""
        return statistics.median(self.seconds) if self.seconds and not self.dropped else float("inf")

    def facts(self) -> dict[str, object]:
        """Fields for the record: the name, then the median and the rounds, or why it was dropped."""
        if self.dropped:
            return {"name": self.name, "dropped": self.dropped}
        if not self.seconds:
            return {"name": self.name, "rounds": 0}
        return {"name": self.name, "milliseconds": round(self.median * 1e3, 1), "rounds": len(self.seconds)}


@dataclass(frozen=True)
class Choice:
    """The chosen engine, the reason, and the candidates that were tried."""

    engine: Engine
    reason: str
    trials: tuple[Trial, ...] = ()


def choose_engine(
    name: str,
    workload: Workload,
    cache: AutotuneCache | None = None,
    on_trial: OnTrial = no_trial,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """Choose an engine.

    With 'auto' every candidate is checked against the loop, and dropped with the reason if it fails or disagrees. The
    others are timed in interleaved rounds on the real batch if the training is long enough; otherwise the first that
    agrees is chosen.

    Args:
        name: 'auto', or an engine's name, which is chosen without a check.
        workload: the work that the engine is for.
        cache: the stored choice for this workload on this machine.
        on_trial: called before each candidate is tried with its name, and the seconds that the trials are estimated to
            take from then on; None if that is not known yet.
        clock: seconds since any fixed moment; candidates are timed with it.

    Raises:
        ConfigError: if there is no engine of that name, or if the workload itself cannot be built.
    """
    if name != "auto":
        return Choice(make_engine(name), "requested")
    return _Chooser(workload, on_trial, clock).choose(cache)


class _Chooser:
    def __init__(self, workload: Workload, on_trial: OnTrial, clock: Callable[[], float]) -> None:
        self.workload = workload
        self.on_trial = on_trial
        self.clock = clock
        self.reference = Reference(workload.outcome, workload.precision)
        self._trials: dict[str, Trial] = {}
        self._until: float | None = None
        """When the trials are estimated to end."""

    def choose(self, cache: AutotuneCache | None) -> Choice:
        if not self.workload.vectorizes:
            return self._choice("loop", "the algorithm declares that its tasks cannot be vectorized")
        # 1. The engine that was fastest before. It is checked again: the code may have changed since.
        earlier = cache.load() if cache is not None else None
        if earlier is not None and is_engine(earlier) and self._passes(earlier):
            return self._choice(
                earlier, f"remembered: fastest when timed on this machine; {self.reference.description}"
            )
        # 2. The first vectorized candidate that passes and fits in memory; without one, the loop, which needs neither.
        vectorized = [name for name in self._candidates() if name.startswith("vmap")]
        first = next((name for name in vectorized if self._passes(name) and self._fits(name)), "loop")
        if first == "loop":
            return self._choice("loop", self._why_dropped())
        if not self.workload.trains:
            return self._choice(first, f"first that can take this algorithm and network; {self.reference.description}")
        # 3. All others, if the training is so long that a faster one saves more time than the trials take.
        planned = self._trials[first].median * self.workload.iterations
        budget = min(TRIAL_SHARE * planned, TRIAL_SECONDS)
        if budget < 4 * self._trials[first].median:
            return self._choice(first, f"not timed, since the training is short; {self.reference.description}")
        self._try_all(first, budget, compiled=COMPILING_SHARE * planned >= COMPILING_SECONDS)
        return self._fastest(self._trials[first], cache)

    def _fastest(self, first: Trial, cache: AutotuneCache | None) -> Choice:
        """The fastest of those timed in enough rounds, or the first if it is not among them."""
        timed = [trial for trial in self._trials.values() if len(trial.seconds) >= MIN_ROUNDS]
        if first not in timed:
            reason = f"the first to agree; {len(self._trials)} tried, for too short a time to find the fastest"
            return self._choice(first.name, f"{reason}; {self.reference.description}")
        best = min(timed, key=lambda trial: trial.median)
        best = best if best.median <= CLEARLY_FASTER * first.median else first
        if cache is not None:
            cache.store(best.name)
        return self._choice(best.name, f"fastest of {len(self._trials)} tried; {self.reference.description}")

    def _try_all(self, first: str, budget: float, *, compiled: bool) -> None:
        """Time every candidate that passes once, then the fast ones in whole rounds, until the budget is spent."""
        if compiled:  # compiling has its own budget
            self._until = self.clock() + COMPILING_SECONDS + budget
            self._first_time(["vmap+compiled"])
        self._until = end = self.clock() + budget
        self._first_time(self._candidates(), end)
        best = min(trial.median for trial in self._trials.values())
        contenders = [t for t in self._trials.values() if t.median <= TOO_SLOW * best or t.name == first]
        for _ in range(ROUNDS - 1):
            if self.clock() > end:
                return
            for trial in contenders:
                self._time(trial.name)

    def _first_time(self, names: Iterable[str], end: float = float("inf")) -> None:
        for name in names:
            if self.clock() < end and self._passes(name) and not self._trials[name].seconds:
                self._time(name)

    def _candidates(self) -> list[str]:
        """Names of the candidates, most promising first."""
        tasks = self.workload.tasks
        chunks = [
            f"vmap[{size}]" for size in dict.fromkeys((tasks // 2, tasks // 4, self._largest_chunk())) if size >= 2
        ]
        if not self.workload.differentiates:
            return ["vmap", *chunks, "loop"]
        return ["vmap", "vmap+remat", *chunks, "loop", "loop+remat"]

    def _passes(self, name: str) -> bool:
        """Check a candidate against the loop; if it fails, its trial holds the reason."""
        if name in self._trials:
            return not self._trials[name].dropped
        trial = self._trials[name] = Trial(name)
        self.on_trial(name, None if self._until is None else max(0.0, self._until - self.clock()))
        try:
            trial.dropped = self._too_large(name) or self.reference.mismatch(make_engine(name))
        except MamlbenchError:
            raise  # the run cannot be built with any engine
        except Exception as error:  # torch raises many types for what it cannot vectorize or compile
            trial.dropped = f"{type(error).__name__}: {_first_line(error)}"
        return not trial.dropped

    def _largest_chunk(self) -> int:
        """The largest chunk that fits in memory and divides the tasks, if at most a quarter of them; else 0."""
        fitting = MAX_EXAMPLE_BYTES // max(1, self.workload.task_bytes)
        quarter = self.workload.tasks // 4
        return max((n for n in range(2, min(fitting, quarter) + 1) if self.workload.tasks % n == 0), default=0)

    def _too_large(self, name: str) -> str:
        """Why an engine would vectorize more examples than memory allows; empty if it would not."""
        engine = make_engine(name)
        if not isinstance(engine, VmapEngine):
            return ""
        size = self.workload.task_bytes * (engine.chunk or self.workload.tasks)
        if size <= MAX_EXAMPLE_BYTES:
            return ""
        return f"{size / 1e6:.0f} MB of examples in one vmap would take too much memory"

    def _fits(self, name: str) -> bool:
        """Whether a whole batch can be computed, if training computes one. The batch is timed."""
        if self.workload.trains:
            self._time(name)
        return not self._trials[name].dropped

    def _time(self, name: str) -> None:
        """Time a whole batch, after one that warms up if it is the candidate's first."""
        check_interrupt()
        trial = self._trials[name]
        compute = self.workload.batch(make_engine(name))
        try:
            if not trial.seconds:
                compute()
            start = self.clock()
            compute()
        except Exception as error:  # out of memory: the check computes a smaller batch
            trial.dropped = f"{type(error).__name__}: {_first_line(error)}"
            return
        trial.seconds.append(self.clock() - start)

    def _choice(self, name: str, reason: str) -> Choice:
        return Choice(make_engine(name), reason, tuple(self._trials.values()))

    def _why_dropped(self) -> str:
        return "; ".join(f"{trial.name}: {trial.dropped}" for trial in self._trials.values() if trial.dropped)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]

"""An estimate of the time left for several runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import mean

from mamlbench.run_spec import RunSpec

MIN_SHARE = 0.02
"""Share of a run's iterations from which its duration is estimated."""


class TimeLeft:
    """Estimates the time left for several runs, from those that have ended and those in progress.

    The duration of a run is that of others of its method, else that of all: methods differ much in their costs.

    Args:
        specs: all runs.
        clock: seconds of a clock that never jumps.
    """

    def __init__(self, specs: Iterable[RunSpec], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._methods = {spec.hash: spec.algorithm.name for spec in specs}
        self._left = set(self._methods)
        self._begun: dict[str, float] = {}
        self._first: dict[str, tuple[float, float]] = {}
        """by run, when the first iterations were done, and their share: what comes before is done once"""
        self._latest: dict[str, tuple[float, float]] = {}
        self._durations: dict[str, float] = {}
        self._parallel = 1

    def begun(self, spec: RunSpec) -> None:
        """A run begins."""
        self._begun[spec.hash] = self._clock()
        self._parallel = max(self._parallel, len(self._begun.keys() - self._durations.keys()))

    def reached(self, spec: RunSpec, step: int) -> None:
        """A run has done ``step`` meta-iterations."""
        share = step / spec.training.iterations if spec.training.iterations else 1.0
        self._latest[spec.hash] = self._clock(), share
        self._first.setdefault(spec.hash, self._latest[spec.hash])

    def ended(self, spec: RunSpec) -> None:
        """A run has ended, for any reason."""
        if spec.hash in self._begun:
            self._durations[spec.hash] = self._clock() - self._begun[spec.hash]
        self._left.discard(spec.hash)

    @property
    def done(self) -> int:
        """Number of runs that have ended."""
        return len(self._methods) - len(self._left)

    def seconds(self) -> float | None:
        """The seconds until all runs have ended; None if nothing is known about any duration."""
        durations = self._known()
        if not durations:
            return None
        every = mean(value for values in durations.values() for value in values)
        left = 0.0
        for key in self._left:
            method = self._methods[key]
            duration = self._projected(key) or mean(durations.get(method, [every]))
            left += max(0.0, duration - (self._clock() - self._begun[key] if key in self._begun else 0.0))
        return left / max(1, min(self._parallel, len(self._left)))

    def _known(self) -> dict[str, list[float]]:
        """Durations by method: those of ended runs, and projected ones of runs in progress."""
        known: dict[str, list[float]] = {}
        for key, method in self._methods.items():
            duration = self._durations.get(key) or self._projected(key)
            if duration:
                known.setdefault(method, []).append(duration)
        return known

    def _projected(self, key: str) -> float | None:
        """The duration of a run in progress as its iterations so far suggest; None if it has done too few."""
        if key not in self._first or key in self._durations:
            return None
        (began, first), (now, share) = self._first[key], self._latest[key]
        if share - first < MIN_SHARE:
            return None
        return began - self._begun.get(key, began) + (now - began) / (share - first)

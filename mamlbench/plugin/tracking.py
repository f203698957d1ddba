"""Passes event hooks on to trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.plugin.markers import hookimpl
from mamlbench.run_spec.outside_text import file_name_of

if TYPE_CHECKING:
    from mamlbench.api import Tracker
    from mamlbench.record import Evaluation, RunRecord
    from mamlbench.run_spec import RunSpec


class TrackerListener:
    """Passes event hooks on to trackers of one class.

    A run is begun with its first number, so that a run refused before it starts leaves nothing behind. Runs at the
    same time get one tracker each, because a tracker takes one run after the other.

    Args:
        tracker_class: the class; one tracker is made at once, so that it raises its errors before any run.
        folder: the folder that trackers write to.
    """

    def __init__(self, tracker_class: type[Tracker], folder: Path) -> None:
        self._tracker_class = tracker_class
        self._folder = folder
        self._idle = [tracker_class(folder)]
        self._open: dict[str, Tracker] = {}
        self._names: dict[str, str] = {}

    @hookimpl
    def mamlbench_progress(self, spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
        """Log the training loss and the clocks."""
        self._log(spec, {f"train/{name}": value for name, value in metrics.items()}, step)

    @hookimpl
    def mamlbench_evaluated(self, spec: RunSpec, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Log the metrics of a validation or test."""
        self._log(spec, {f"{split}/{name}": value for name, value in metrics.items()}, step)

    @hookimpl
    def mamlbench_run_finished(self, spec: RunSpec, record: RunRecord) -> None:
        """Log the test in every mode, and end the run."""
        step = record.measurement.iterations if record.measurement is not None else 0
        try:
            self._log(spec, dict(_test(record.test)) if record.test is not None else {}, step).end(record.status)
        finally:
            self._names.pop(spec.hash, None)
            if spec.hash in self._open:
                self._idle.append(self._open.pop(spec.hash))

    def _log(self, spec: RunSpec, metrics: Mapping[str, float], step: int) -> Tracker:
        tracker = self._open.get(spec.hash) or self._begin(spec)
        if metrics:
            tracker.log(metrics, step)
        return tracker

    def _begin(self, spec: RunSpec) -> Tracker:
        if not self._idle:
            self._idle.append(self._tracker_class(self._folder))
        name = self._names.setdefault(spec.hash, _name(spec))
        self._idle[-1].begin(name, dict(_flat(spec.model_dump(mode="json"))))
        self._open[spec.hash] = self._idle.pop()  # only now: if begin raised, the next number tries again
        return self._open[spec.hash]


def _name(spec: RunSpec) -> str:
    protocol, now = spec.protocol, datetime.now(UTC)
    task = f"{spec.dataset.name}-{protocol.ways}w{protocol.shots}s"
    return file_name_of(f"{task}-{spec.algorithm.name}-seed{spec.seed}-{spec.hash[:8]}-{now:%Y%m%dT%H%M%S%f}")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _test(test: Evaluation) -> Iterator[tuple[str, float]]:
    for metric, result in test.metrics.items():
        for mode, scores in result.modes.items():
            for name in ("score", "untrained", "gain"):
                interval = getattr(scores, name)
                if interval is not None:
                    yield f"test/{mode}/{metric}/{name}", interval.mean

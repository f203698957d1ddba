"""From event hooks to trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.plugin.markers import hookimpl

if TYPE_CHECKING:
    from mamlbench.api import Tracker
    from mamlbench.record import Evaluation, RunRecord
    from mamlbench.run_spec import RunSpec


class TrackerListener:
    """Tells a tracker what the event hooks tell. A run begins with its first number, so that one that is refused
    before it starts leaves nothing behind. Where several runs go on at once each has a tracker of its own, since one
    receives runs one after the other.

    Args:
        kind: the class; one is made now, so that one that cannot work here says so before any run.
        folder: where it may write.
    """

    def __init__(self, kind: type[Tracker], folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._idle = [kind(folder)]
        self._open: dict[str, Tracker] = {}
        self._names: dict[str, str] = {}

    @hookimpl
    def mamlbench_progress(self, spec: RunSpec, step: int, metrics: Mapping[str, float]) -> None:
        """Send the training loss and the clocks."""
        self._log(spec, {f"train/{name}": value for name, value in metrics.items()}, step)

    @hookimpl
    def mamlbench_evaluated(self, spec: RunSpec, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Send the score."""
        self._log(spec, {f"{split}/{name}": value for name, value in metrics.items()}, step)

    @hookimpl
    def mamlbench_run_finished(self, spec: RunSpec, record: RunRecord) -> None:
        """Send the test in every mode, and close the run."""
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
            self._idle.append(self._kind(self._folder))
        name = self._names.setdefault(spec.hash, _name(spec))
        self._idle[-1].begin(name, dict(_flat(spec.model_dump(mode="json"))))
        self._open[spec.hash] = self._idle.pop()  # one that could not begin tries again with the next number
        return self._open[spec.hash]


def _name(spec: RunSpec) -> str:
    protocol, now = spec.protocol, datetime.now(UTC)
    task = f"{spec.dataset.name}-{protocol.ways}w{protocol.shots}s"
    return f"{task}-{spec.algorithm.name}-seed{spec.seed}-{spec.hash[:8]}-{now:%Y%m%dT%H%M%S%f}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _test(test: Evaluation) -> Iterator[tuple[str, float]]:
    for mode, result in test.modes.items():
        for name in ("score", "untrained", "gain"):
            found = getattr(result, name)
            if found is not None:
                yield f"test/{mode}/{name}", found.mean

"""What a gate looks at: scores by mode, times, memory; how much worse is worse where nobody says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mamlbench.record import Measurement
from mamlbench.run_spec import MODES


def _milliseconds(measured: Measurement) -> float | None:
    rate = measured.iterations_per_second
    return 1000 / rate if rate else None


@dataclass(frozen=True)
class MachineMetric:
    """A time or a memory: one value per run, compared as a ratio."""

    name: str
    unit: str
    value: Callable[[Measurement], float | None]
    scale: float = 1.0
    """From base units (seconds, bytes) to the unit."""
    lower_is_better: bool = True
    margin: float = 0.10
    """Relative change that matters, where no threshold says."""
    shown: bool = False
    """Whether it is judged without being asked for."""


MACHINE = {
    metric.name: metric
    for metric in (
        MachineMetric("device_seconds", "s", lambda measured: measured.device_seconds, shown=True),
        MachineMetric("wall_seconds", "s", lambda measured: measured.wall_seconds),
        MachineMetric("milliseconds", "ms", _milliseconds),
        MachineMetric(
            "iterations_per_second", "1/s", lambda measured: measured.iterations_per_second, lower_is_better=False
        ),
        MachineMetric(
            "peak_memory",
            "MiB",
            lambda measured: measured.peak_memory_bytes,
            scale=1 / 1024**2,
            margin=0.05,
            shown=True,
        ),
    )
}
SHARE_MARGIN = 0.01
"""Difference between two accuracies that matters, where no threshold says: one percentage point."""
SCORE_MARGIN = 0.10
"""The same for other scores, relative to the base."""
SCORES = ("accuracy", "score", *MODES)
"""'accuracy' is every mode where the metric is one, 'score' every mode of any metric, a mode's name that mode."""
NAMES = (*SCORES, *MACHINE)

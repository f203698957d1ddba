"""The metrics that a gate compares: scores by mode, times, memory; and their default margins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mamlbench.record import Measurement
from mamlbench.run_spec import TEST_MODES


def _milliseconds(measurement: Measurement) -> float | None:
    rate = measurement.iterations_per_second
    return 1000 / rate if rate else None


@dataclass(frozen=True)
class MachineMetric:
    """A time or memory: one value per run, compared as a ratio."""

    name: str
    unit: str
    value: Callable[[Measurement], float | None]
    scale: float = 1.0
    """Factor from base units (seconds, bytes) to the unit."""
    lower_is_better: bool = True
    margin: float = 0.10
    """Relative change that matters if no threshold sets one."""
    by_default: bool = False
    """Whether it is compared without a threshold."""


_MACHINE_METRICS = (
    MachineMetric("device_seconds", "s", lambda run: run.device_seconds, by_default=True),
    MachineMetric("wall_seconds", "s", lambda run: run.wall_seconds),
    MachineMetric("milliseconds", "ms", _milliseconds),
    MachineMetric("iterations_per_second", "1/s", lambda run: run.iterations_per_second, lower_is_better=False),
    MachineMetric(
        "peak_memory", "MiB", lambda run: run.peak_memory_bytes, scale=1 / 1024**2, margin=0.05, by_default=True
    ),
)
MACHINE_METRICS = {metric.name: metric for metric in _MACHINE_METRICS}
FRACTION_MARGIN = 0.01
"""Difference between two accuracies that matters if no threshold sets one: one percentage point."""
SCORE_MARGIN = 0.10
"""The same for other scores, relative to BASE."""
FIRST_METRIC = ("score", *TEST_MODES)
"""Names of thresholds on the first metric, whatever it is: 'score' in every mode, a mode's name in that mode."""

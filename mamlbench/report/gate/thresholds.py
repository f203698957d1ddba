"""Parsing thresholds: ``accuracy:-1pp``, ``macro F1:-1pp``, ``device_seconds:+10%``, ``peak_memory:+64MiB``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mamlbench.errors import ConfigError
from mamlbench.report.gate.metrics import FIRST_METRIC, MACHINE_METRICS
from mamlbench.run_spec.metric_names import column_name

_PATTERN = re.compile(
    r"(?P<metric>[^:]*[^: ]) *: *(?P<sign>[+-]?)(?P<amount>[0-9]+(?:\.[0-9]+)?) *(?P<unit>[A-Za-z%]*)"
)
_BASE_UNITS = {"%": 0.01, "pp": 0.01, "": 1.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "MiB": 1024.0**2, "GiB": 1024.0**3}
_SCORE_UNITS = ("pp", "%", "")
_UNITS = {
    **dict.fromkeys(("device_seconds", "wall_seconds"), ("%", "s", "min")),
    "milliseconds": ("%", "ms"),
    "iterations_per_second": ("%",),
    "peak_memory": ("%", "MiB", "GiB"),
}
EXAMPLE = "accuracy:-1pp, device_seconds:+10% or peak_memory:+5%"


@dataclass(frozen=True)
class Threshold:
    """The largest change for the worse that a metric may have."""

    metric: str
    amount: float
    """Above 0; in base units (fractions, seconds, bytes; milliseconds in ms)."""
    relative: bool
    """Whether it is a fraction of BASE."""
    sign: str = ""
    """'+' or '-' if the user wrote the direction of worse."""
    percentage_points: bool = False
    """Whether it was written in percentage points, which only metrics in % have."""
    text: str = ""
    """As the user wrote it."""

    def applies_to(self, metric: str, mode: str, *, is_first: bool) -> bool:
        """Return whether it applies to a time or memory, or to the score of a metric in a mode.

        ``is_first`` is whether the metric is the first of the runs, to which 'score' and the modes' names refer.
        """
        if self.metric in FIRST_METRIC:
            return is_first and self.metric in ("score", mode)
        return self.metric == metric if metric in MACHINE_METRICS else self.is_of(metric)

    def is_of(self, metric: str) -> bool:
        """Return whether it names this metric, whatever the capitals, spaces and hyphens."""
        return column_name(self.metric) == column_name(metric)

    def __str__(self) -> str:
        return self.text


def last_applying(
    thresholds: Sequence[Threshold], metric: str, mode: str = "", *, is_first: bool = False
) -> Threshold | None:
    """Return the last threshold that applies: a later one is more specific or replaces an earlier one."""
    return next((entry for entry in reversed(thresholds) if entry.applies_to(metric, mode, is_first=is_first)), None)


def parse_thresholds(texts: Sequence[str]) -> list[Threshold]:
    """Parse thresholds. Raises ConfigError with one sentence for each that is invalid."""
    thresholds: list[Threshold] = []
    problems: list[str] = []
    for text in texts:
        try:
            thresholds.append(_parse(text))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return thresholds


def _parse(text: str) -> Threshold:
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"A threshold looks like {EXAMPLE}, not '{text}'.")
    metric, sign, amount, unit = match.group("metric", "sign", "amount", "unit")
    valid_units = _UNITS.get(metric, _SCORE_UNITS)
    if unit not in valid_units:
        units = " or ".join(valid or "a plain number" for valid in valid_units)
        raise ConfigError(f"'{text}': {metric} takes {units}, not '{unit or 'a plain number'}'.")
    if float(amount) == 0:
        raise ConfigError(
            f"'{text}': a threshold must be above 0. No number of episodes can show that a metric is not worse at all."
        )
    worse = _worse_sign(metric)
    if sign and worse and sign != worse:
        raise ConfigError(
            f"'{text}': {metric} is worse if it is {'higher' if worse == '+' else 'lower'}: use '{worse}'."
        )
    scale = 1.0 if unit == "ms" else _BASE_UNITS[unit]
    return Threshold(metric, float(amount) * scale, unit == "%", sign, unit == "pp", text.strip())


def _worse_sign(metric: str) -> str:
    """Return the sign of a change for the worse; empty for a score, whose metric decides it."""
    if metric in MACHINE_METRICS:
        return "+" if MACHINE_METRICS[metric].lower_is_better else "-"
    return ""

"""Thresholds as a user writes them: ``accuracy:-1pp``, ``device_seconds:+10%``, ``peak_memory:+64MiB``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.report.gate.metrics import MACHINE, NAMES, SCORES

_FORM = re.compile(r"(?P<metric>[a-z_+]+) *: *(?P<sign>[+-]?)(?P<amount>[0-9]+(?:\.[0-9]+)?) *(?P<unit>[A-Za-z%]*)")
_BASE_UNITS = {"%": 0.01, "pp": 0.01, "": 1.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "MiB": 1024.0**2, "GiB": 1024.0**3}
_UNITS = {
    **dict.fromkeys(SCORES, ("pp", "%", "")),
    **dict.fromkeys(("device_seconds", "wall_seconds"), ("%", "s", "min")),
    "milliseconds": ("%", "ms"),
    "iterations_per_second": ("%",),
    "peak_memory": ("%", "MiB", "GiB"),
}
EXAMPLE = "accuracy:-1pp, device_seconds:+10% or peak_memory:+5%"


@dataclass(frozen=True)
class Threshold:
    """By how much a metric must get worse before it counts."""

    metric: str
    amount: float
    """Above 0; in base units (fractions, seconds, bytes; milliseconds in ms)."""
    relative: bool
    """Whether it is a fraction of the base."""
    sign: str = ""
    """'+' or '-' where the user said in which direction worse lies."""
    points: bool = False
    """Whether it was given in percentage points, which accuracies alone have."""

    def covers(self, metric: str, name: str) -> bool:
        """Whether it is meant for ``metric`` (a mode or a time or memory), a score being called ``name``."""
        if metric in MACHINE:
            return self.metric == metric
        return self.metric in (metric, "score") or (self.metric == "accuracy" and name == "accuracy")

    def __str__(self) -> str:
        return f"{self.metric}:{self.sign}{self.amount:g}{' of the base' if self.relative else ''}"


def parse_thresholds(texts: Sequence[str]) -> list[Threshold]:
    """Read thresholds. Raises ConfigError with one sentence for each that cannot be read."""
    read: list[Threshold] = []
    problems: list[str] = []
    for text in texts:
        try:
            read.append(_parse(text))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return read


def _parse(text: str) -> Threshold:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"A threshold looks like {EXAMPLE}, not '{text}'.")
    metric, sign, amount, unit = found.group("metric", "sign", "amount", "unit")
    if metric not in NAMES:
        raise ConfigError(f"'{text}': there is no metric '{metric}'.{did_you_mean(metric, NAMES)}")
    if unit not in _UNITS[metric]:
        units = " or ".join(each or "a plain number" for each in _UNITS[metric])
        raise ConfigError(f"'{text}': {metric} is given in {units}, not in '{unit or 'a plain number'}'.")
    if float(amount) == 0:
        raise ConfigError(
            f"'{text}': a threshold must be above 0; no number of episodes shows that nothing is worse at all."
        )
    worse = _direction(metric)
    if sign and worse and sign != worse:
        raise ConfigError(
            f"'{text}': {metric} is worse where it is {'higher' if worse == '+' else 'lower'}: '{worse}'."
        )
    scale = 1.0 if unit == "ms" else _BASE_UNITS[unit]
    return Threshold(metric, float(amount) * scale, unit == "%", sign, points=unit == "pp")


def _direction(metric: str) -> str:
    """The sign of worse; empty where the record's metric decides."""
    if metric == "accuracy":
        return "-"
    if metric in MACHINE:
        return "+" if MACHINE[metric].lower_is_better else "-"
    return ""

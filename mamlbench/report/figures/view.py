"""What a figure shows of a group: its rows, best first, each with its looks."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from mamlbench.report.figures.style import STYLES, Style
from mamlbench.report.formatting import printable
from mamlbench.report.statistics.estimates import average, estimate
from mamlbench.report.table import row_settings
from mamlbench.report.table.groups import Group, Row

MOST_ROWS = len(STYLES)
"""More rows than this cannot be told apart in one figure."""
LARGEST = 1e30
"""Numbers beyond it are taken for nonsense, which a foreign record may hold."""


@dataclass(frozen=True)
class View:
    """The part of a group that is drawn."""

    group: Group
    rows: list[Row]
    labels: list[str]
    styles: list[Style]

    @property
    def mode(self) -> str:
        """The first mode: the one that selects checkpoints."""
        return self.group.modes[0] if self.group.modes else ""

    @property
    def scale(self) -> float:
        """What scores are multiplied with before they are shown."""
        return 100.0 if self.group.reference is not None and self.group.reference.unit == "%" else 1.0

    @property
    def metric(self) -> str:
        """Name and unit of the score."""
        reference = self.group.reference
        if reference is None:
            return "score"
        return printable(f"{reference.metric}, {reference.unit}" if reference.unit else reference.metric)

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction."""
        return self.group.reference is None or self.group.reference.higher_is_better


def view_of(group: Group) -> View:
    """Choose the best rows, at most as many as can be told apart."""
    rows = sorted(group.rows, key=lambda row: _rank(group, row))[:MOST_ROWS]
    return View(group, rows, labels_of(rows), list(STYLES[: len(rows)]))


def labels_of(rows: list[Row]) -> list[str]:
    """Names of rows, each different: the algorithm, the settings that tell it apart, else the preset or a number."""
    names = [f"{row.algorithm} ({row.described})" if row.described else row.algorithm for row in rows]
    if len(set(names)) < len(names):
        alike = Counter(names)
        presets = [row.runs[0].spec.preset for row in rows]
        names = [f"{n}, {preset}" if alike[n] > 1 else n for n, preset in zip(names, presets, strict=True)]
    alike = Counter(names)
    return [printable(f"{n} #{place + 1}" if alike[n] > 1 else n) for place, n in enumerate(names)]


def elided(label: str, most: int) -> str:
    """A label shortened to fit."""
    return label if len(label) <= most else f"{label[: most - 1]}…"


def is_usable(value: float | None) -> bool:
    """Whether a number can be drawn."""
    return value is not None and math.isfinite(value) and abs(value) < LARGEST


def score_of(row: Row, mode: str) -> float | None:
    """Mean score of a row in one mode, where it can be drawn."""
    found = estimate(row, mode, "score")
    return found.interval.mean if found is not None and is_usable(found.interval.mean) else None


def device_seconds(row: Row) -> float | None:
    """Mean device seconds of a row's finished runs, where they can be drawn."""
    found = average([measured.device_seconds for measured in row.measurements])
    return found if is_usable(found) else None


def measured_elsewhere(rows: list[Row]) -> list[bool]:
    """Which rows were measured on another machine, or with other software, than most: their times do not compare."""
    machines = [repr(row_settings.machine(row)) if row.measurements else "" for row in rows]
    usual = Counter(filter(None, machines)).most_common(1)
    return [bool(machine) and machine != usual[0][0] for machine in machines]


def _rank(group: Group, row: Row) -> tuple[bool, float, str, str]:
    score = score_of(row, group.modes[0]) if group.modes else None
    sign = -1.0 if group.reference is None or group.reference.higher_is_better else 1.0
    return (score is None, sign * (score or 0.0), row.algorithm, row.described)

"""The rows of a group that a figure shows, best first, with their labels and styles."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from mamlbench.report.figures.style import STYLES, Style
from mamlbench.report.formatting import printable
from mamlbench.report.statistics.estimates import estimate, mean_if_any
from mamlbench.report.table import row_settings
from mamlbench.report.table.groups import Group, RowRuns

MAX_ROWS = len(STYLES)
"""Most rows that can be distinguished in one figure."""
MAX_VALUE = 1e30
"""Larger numbers, which a corrupt record may hold, are not drawn."""


@dataclass(frozen=True)
class View:
    """The rows of a group that are drawn."""

    group: Group
    rows: list[RowRuns]
    labels: list[str]
    styles: list[Style]

    @property
    def left_out(self) -> str:
        """Say how many rows are not drawn; empty if all are."""
        number = len(self.group.rows)
        return f"the best {len(self.rows)} of {number} rows" if len(self.rows) < number else ""

    @property
    def mode(self) -> str:
        """The first mode: the one that selects checkpoints."""
        return self.group.modes[0] if self.group.modes else ""

    @property
    def scale(self) -> float:
        """Factor from scores to displayed values: 100 for fractions, otherwise 1."""
        return 100.0 if self.group.reference is not None and self.group.reference.unit == "%" else 1.0

    @property
    def metric(self) -> str:
        """Name and unit of the score."""
        reference = self.group.reference
        if reference is None:
            return "score"
        return printable(f"{self.group.metric}, {reference.unit}" if reference.unit else self.group.metric)

    @property
    def higher_is_better(self) -> bool:
        """Whether higher scores are better."""
        return self.group.reference is None or self.group.reference.higher_is_better


def view_of(group: Group) -> View:
    """Choose the best rows, at most MAX_ROWS."""
    rows = sorted(group.rows, key=lambda row: _rank(group, row))[:MAX_ROWS]
    return View(group, rows, labels_of(rows), list(STYLES[: len(rows)]))


def labels_of(rows: list[RowRuns]) -> list[str]:
    """Return a unique name per row: that of its table, and a number if there are several."""
    names = [row.name or row.algorithm for row in rows]
    counts = Counter(names)
    return [printable(f"{name} #{index + 1}" if counts[name] > 1 else name) for index, name in enumerate(names)]


def elide(label: str, max_length: int) -> str:
    """Shorten a label to ``max_length`` characters."""
    return label if len(label) <= max_length else f"{label[: max_length - 1]}…"


def is_drawable(value: float | None) -> bool:
    """Return whether a number can be drawn."""
    return value is not None and math.isfinite(value) and abs(value) < MAX_VALUE


def score_of(row: RowRuns, metric: str, mode: str) -> float | None:
    """Return the mean score of a row in one metric and mode; None if it cannot be drawn."""
    value = estimate(row, metric, mode, "score")
    return value.interval.mean if value is not None and is_drawable(value.interval.mean) else None


def device_seconds(row: RowRuns) -> float | None:
    """Return the mean device seconds of a row's finished runs; None if they cannot be drawn."""
    seconds = mean_if_any([measurement.device_seconds for measurement in row.measurements])
    return seconds if is_drawable(seconds) else None


def on_other_machine(rows: list[RowRuns]) -> list[bool]:
    """Return which rows were measured on a different machine or software than most: their times are not comparable."""
    machines = [repr(row_settings.machine(row)) if row.measurements else "" for row in rows]
    most_common = Counter(filter(None, machines)).most_common(1)
    return [bool(machine) and machine != most_common[0][0] for machine in machines]


def _rank(group: Group, row: RowRuns) -> tuple[bool, float, str, str]:
    score = score_of(row, group.metric, group.modes[0]) if group.modes else None
    sign = -1.0 if group.reference is None or group.reference.higher_is_better else 1.0
    return (score is None, sign * (score or 0.0), row.algorithm, row.label_text)

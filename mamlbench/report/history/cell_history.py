"""Score and time of each configuration over commits, and the commits at which they changed.

Each commit is compared with the first one since the last change, not with its neighbor, so that a drift of many small
steps is found too. The comparisons are those of the gate: seeds and shared test episodes are both random, times need
equal machines. Which comparisons are made depends on the outcome of others, but their number does not: with
Bonferroni's correction by that number, 5 % hold for the whole history whatever the dependence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mamlbench.record import RunRecord
from mamlbench.report.gate.configurations import Configuration, ConfigurationPair, pair_configurations
from mamlbench.report.gate.decision import decide
from mamlbench.report.gate.machine_verdicts import machine_values, machine_verdicts
from mamlbench.report.gate.metrics import MACHINE_METRICS
from mamlbench.report.gate.score_verdicts import score_verdicts
from mamlbench.report.gate.verdict import PendingVerdict, Verdict
from mamlbench.report.history.committed_records import Commit
from mamlbench.report.statistics.estimates import estimate, interval_over_seeds


class SeriesName(NamedTuple):
    """What is followed over commits: a metric in a mode, or a time or memory (without mode)."""

    metric: str
    mode: str

    def __str__(self) -> str:
        return ", ".join(filter(None, self))


class SeriesValue(NamedTuple):
    """A value in base units with the half-width of its 95 % interval, if it has one."""

    mean: float
    half_width: float | None


@dataclass
class HistoryPoint:
    """A configuration after one commit that changed its records."""

    commit: Commit
    configuration: Configuration
    values: dict[SeriesName, SeriesValue]
    changes: dict[SeriesName, Verdict] = field(default_factory=dict)
    """Verdicts of better, worse or not comparable, against the first commit since the last of them."""
    since: dict[SeriesName, Commit] = field(default_factory=dict)
    """Of each change, the commit that this one was compared with."""


@dataclass
class CellHistory:
    """One configuration over commits."""

    identifier: str
    name: str
    points: list[HistoryPoint] = field(default_factory=list)

    @property
    def series(self) -> list[SeriesName]:
        """What any of its points has a value of, scores first."""
        names = dict.fromkeys(name for point in self.points for name in point.values)
        return sorted(names, key=lambda name: not name.mode)


def cell_histories(
    commits: Iterable[tuple[Commit, Sequence[RunRecord]]], selected: Sequence[str] = ()
) -> list[CellHistory]:
    """Follow every configuration over commits, oldest first, and find the changes of each series.

    Args:
        commits: each with all records of the folder; equal records are the same objects.
        selected: beginnings of identifiers, or parts of names; all configurations if there are none.
    """
    cells: dict[str, CellHistory] = {}
    latest: dict[str, tuple[int, ...]] = {}
    for commit, records in commits:
        for pair in pair_configurations([], records):
            identifier, name, configuration = pair.identifier, pair.name, pair.head
            chosen = not selected or any(identifier.startswith(text) or text in name for text in selected)
            runs = tuple(map(id, configuration.row.runs)) if configuration is not None else ()
            if configuration is None or not chosen or latest.get(identifier) == runs:
                continue
            latest[identifier] = runs
            cell = cells.setdefault(identifier, CellHistory(identifier, name))
            cell.name = name
            cell.points.append(HistoryPoint(commit, configuration, _values(configuration)))
    histories = list(cells.values())
    _find_changes(histories)
    return histories


def _values(configuration: Configuration) -> dict[SeriesName, SeriesValue]:
    """The scores of the first metric in each mode, and the times and memory that a gate compares by default."""
    row, values = configuration.row, {}
    for mode in row.tests[0].modes if row.tests else ():
        metric = row.tests[0].metric
        score = estimate(row, metric, mode, "score")
        if score is not None:
            values[SeriesName(metric, mode)] = SeriesValue(score.interval.mean, score.half_width)
    for machine in MACHINE_METRICS.values():
        numbers = list(map(float, machine_values(configuration, machine)))
        if machine.by_default and numbers:
            interval = interval_over_seeds(numbers) if len(numbers) > 1 else None
            mean = numbers[0] if interval is None else interval.mean
            half = None if interval is None else (interval.high - interval.low) / 2
            values[SeriesName(machine.name, "")] = SeriesValue(mean, half)
    return values


def _find_changes(histories: Sequence[CellHistory]) -> None:
    lengths = [sum(name in point.values for point in cell.points) for cell in histories for name in cell.series]
    family = sum(length - 1 for length in lengths)
    for cell in histories:
        for name in cell.series:
            _find_changes_of(cell, name, family)


def _find_changes_of(cell: CellHistory, name: SeriesName, family: int) -> None:
    """Compare each point with the first since the last change; two machines or data sets begin a new part too."""
    points = [point for point in cell.points if name in point.values]
    reference = points[0]
    for point in points[1:]:
        pending = _pending(cell, name, reference, point)
        if pending is None:
            continue
        p_value = 1.0 if pending.comparison is None else min(family * float(pending.comparison.p_value), 1.0)
        verdict = decide(pending, p_value)
        if verdict.kind in ("better", "worse", "not comparable"):
            point.changes[name], point.since[name] = verdict, reference.commit
            reference = point


def _pending(cell: CellHistory, name: SeriesName, before: HistoryPoint, after: HistoryPoint) -> PendingVerdict | None:
    short_name = after.configuration.name
    pair = ConfigurationPair(short_name, before.configuration, after.configuration)
    verdicts = score_verdicts(pair, ()) if name.mode else machine_verdicts(pair, ())
    matching = [entry for entry in verdicts if (entry.verdict.metric, entry.verdict.mode) == name]
    return matching[0] if matching else None

"""A history as text for the terminal and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from mamlbench.report.figures.view import elide
from mamlbench.report.formatting import number, printable, with_half_width
from mamlbench.report.gate.metrics import MACHINE_METRICS
from mamlbench.report.gate.render import change_text
from mamlbench.report.history.cell_history import CellHistory, HistoryPoint, SeriesName, SeriesValue

SIGNS = {"better": "▲", "worse": "▼", "not comparable": "‖"}
SHORTEST_SUBJECT = 12
"""Characters of a commit's subject below which it is left out."""
NOTES = (
    "▲ better, ▼ worse than at the first commit since the last sign (at 5 % for all comparisons together, Bonferroni); "
    "‖ not comparable with the commits above.",
    "±: 95 % interval.",
)
_HEADINGS = {"device_seconds": "device s", "peak_memory": "MiB"}


def to_terminal(histories: Sequence[CellHistory], width: int) -> Any:
    """Build a rich group: one table for each configuration, its changes below it."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    for cell in histories:
        parts.append(Text.assemble((f"\n{printable(cell.name)}", "bold"), (f" {cell.identifier}", "dim")))
        parts.append(_table(cell, width))
        parts += [Text(printable(text)) for text in changes(cell)]
    return Group(*parts, Text(""), *(Text(note, style="dim") for note in NOTES))


def _table(cell: CellHistory, width: int) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = [[point.commit.short, point.commit.date, *_cells(cell, point)] for point in cell.points]
    headings = ["commit", "date", *map(heading, cell.series)]
    used = sum(max(len(line[index]) for line in [headings, *lines]) + 3 for index in range(len(headings)))
    room = width - used - 1
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for index, title in enumerate(headings):
        table.add_column(Text(title), justify="right" if index > 1 else "left", no_wrap=True)
    if room >= SHORTEST_SUBJECT:
        table.add_column("subject", no_wrap=True)
    for line, point in zip(lines, cell.points, strict=True):
        subject = [elide(printable(point.commit.subject), room)] if room >= SHORTEST_SUBJECT else []
        table.add_row(*map(Text, (*line, *subject)))
    return table


def heading(name: SeriesName) -> str:
    """The heading of a series: the mode of a score, the unit of a time or memory."""
    return name.mode or _HEADINGS.get(name.metric, name.metric)


def _cells(cell: CellHistory, point: HistoryPoint) -> Iterator[str]:
    for name in cell.series:
        verdict = point.changes.get(name)
        sign = "" if verdict is None else SIGNS[verdict.kind]
        yield f"{value_text(name, point)}{sign or ' '}"


def value_text(name: SeriesName, point: HistoryPoint) -> str:
    """A value with its interval; a time or memory is a plain number."""
    value = point.values.get(name)
    if value is None:
        return "–"
    scaled, half = displayed(name, point, value)
    if name.metric in MACHINE_METRICS or half is None:
        return number(scaled)
    return with_half_width(scaled, half, percent=False) if scale_of(name, point) == 1 else f"{scaled:.1f} ± {half:.1f}"


def scale_of(name: SeriesName, point: HistoryPoint) -> float:
    """Factor from base units to those that are shown."""
    if name.metric in MACHINE_METRICS:
        return MACHINE_METRICS[name.metric].scale
    tests = point.configuration.row.tests
    return 100.0 if tests and tests[0].metrics[name.metric].unit == "%" else 1.0


def displayed(name: SeriesName, point: HistoryPoint, value: SeriesValue) -> tuple[float, float | None]:
    """The mean and the half-width of a value in the units that are shown."""
    scale = scale_of(name, point)
    return scale * value.mean, None if value.half_width is None else scale * value.half_width


def changes(cell: CellHistory) -> Iterator[str]:
    """One line for each change: what, by how much, since when, and the commit that brought it."""
    for point in cell.points:
        for name, verdict in point.changes.items():
            how = verdict.detail if verdict.kind == "not comparable" else change_text(verdict)
            since = point.since[name].short
            yield (
                f"{SIGNS[verdict.kind]} {point.commit.short} {name}: {verdict.kind} ({how}) since {since}: "
                f"{point.commit.subject}"
            )


def to_json(histories: Sequence[CellHistory], problems: Sequence[str]) -> str:
    """Write everything in base units (fractions, seconds, bytes). NaN and infinities become null."""
    content = {
        "cells": [
            {
                "id": cell.identifier,
                "name": cell.name,
                "points": [_point(point) for point in cell.points],
            }
            for cell in histories
        ],
        "problems": list(problems),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _point(point: HistoryPoint) -> dict[str, Any]:
    return {
        "commit": point.commit.hash,
        "date": point.commit.date,
        "subject": point.commit.subject,
        "seeds": len(point.configuration.row.seed_runs),
        "values": [
            {"metric": name.metric, "mode": name.mode, "mean": _finite(mean), "half_width": _finite(half)}
            for name, (mean, half) in point.values.items()
        ],
        "changes": [
            {
                "metric": name.metric,
                "mode": name.mode,
                "kind": verdict.kind,
                "since": point.since[name].hash,
                "change": _finite(verdict.change),
                "low": _finite(verdict.low),
                "high": _finite(verdict.high),
                "p_value": _finite(verdict.p_value),
                "claim": verdict.claim,
                "detail": verdict.detail,
            }
            for name, verdict in point.changes.items()
        ],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

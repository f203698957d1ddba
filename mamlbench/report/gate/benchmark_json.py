"""JSON for public benchmark trackers: github-action-benchmark and Bencher.

Every series has the name of its configuration and eight digits of its settings, which stay the same whatever other
configurations, seeds or code there are: a tracker goes on with the same history.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence

from mamlbench.record import RunRecord
from mamlbench.report.formatting import number, printable
from mamlbench.report.gate.configurations import pair_configurations
from mamlbench.report.gate.decision import judge
from mamlbench.report.gate.verdict import Verdict


def to_smaller_is_better(records: Sequence[RunRecord]) -> str:
    """Write github-action-benchmark's ``customSmallerIsBetter``: times and memory, and accuracies as errors."""
    return benchmark_entries(_values(records), _about, bigger_is_better=False)


def to_bigger_is_better(records: Sequence[RunRecord]) -> str:
    """Write github-action-benchmark's ``customBiggerIsBetter``: scores and rates."""
    return benchmark_entries(_values(records), _about, bigger_is_better=True)


def to_bencher(records: Sequence[RunRecord]) -> str:
    """Write the Bencher Metric Format: by series and measure a value, with the ends of its 95 % confidence interval.

    Source: https://bencher.dev/docs/reference/bencher-metric-format
    """
    content: dict[str, dict[str, dict[str, float]]] = {}
    for verdict, value in _with_values(_values(records)):
        measure = printable(f"{verdict.label} ({verdict.unit})" if verdict.unit else verdict.label)
        entry = {"value": value}
        half_width = _half_width(verdict)
        if half_width is not None:
            entry |= {"lower_value": value - half_width, "upper_value": value + half_width}
        content.setdefault(printable(verdict.series), {})[measure] = entry
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


TRACKER_FORMATS: dict[str, Callable[[Sequence[RunRecord]], str]] = {
    "benchmark-json": to_smaller_is_better,
    "benchmark-json-bigger": to_bigger_is_better,
    "bencher-json": to_bencher,
}
"""Formats of ``mamlbench report`` for trackers."""


def benchmark_entries(verdicts: Sequence[Verdict], extra: Callable[[Verdict], str], *, bigger_is_better: bool) -> str:
    """Write HEAD's values of verdicts as a list for github-action-benchmark, those of one direction.

    Args:
        verdicts: one for each series.
        extra: what the tracker shows of a verdict beside its value.
        bigger_is_better: direction of all values; accuracies become errors if it is not theirs.
    """
    entries = []
    for verdict, measured in _with_values(verdicts):
        value, name = measured, f"{verdict.series}: {verdict.label}"
        if verdict.lower_is_better is bigger_is_better:  # a file has one direction: accuracies are turned into errors
            if bigger_is_better or verdict.unit != "%":
                continue
            value, name = 100 - value, f"{name}, error"
        unit = verdict.unit or "score"
        entry = {"name": printable(name), "unit": unit, "value": value, "extra": extra(verdict)}
        half_width = _half_width(verdict)
        if half_width is not None:
            entry["range"] = f"± {number(half_width)}"
        entries.append(entry)
    return json.dumps(entries, indent=1, allow_nan=False) + "\n"


def _values(records: Sequence[RunRecord]) -> list[Verdict]:
    """The value of every metric of every configuration: that of HEAD, if BASE is the same."""
    return judge(pair_configurations(records, records))


def _with_values(verdicts: Sequence[Verdict]) -> Iterator[tuple[Verdict, float]]:
    """Yield verdicts whose value is known, with the value in its unit."""
    for verdict in verdicts:
        if verdict.head is not None and math.isfinite(verdict.head * verdict.scale):
            yield verdict, verdict.head * verdict.scale


def _half_width(verdict: Verdict) -> float | None:
    """Half-width of the 95 % confidence interval, in the verdict's unit; None if it is not known."""
    half_width = verdict.head_half_width
    return None if half_width is None or not math.isfinite(half_width) else half_width * verdict.scale


def _about(verdict: Verdict) -> str:
    return printable(f"test data {verdict.test_data}" if verdict.test_data else "")

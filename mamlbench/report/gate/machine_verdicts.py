"""Pending verdicts on times and memory: runs compared as ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mamlbench.report.gate.configurations import Configuration, ConfigurationPair
from mamlbench.report.gate.metrics import MACHINE_METRICS, MachineMetric
from mamlbench.report.gate.score_verdicts import missing_reason
from mamlbench.report.gate.thresholds import Threshold, last_applying
from mamlbench.report.gate.verdict import PendingVerdict, Verdict
from mamlbench.report.statistics.estimates import interval_over_seeds
from mamlbench.report.statistics.significance_tests import compare
from mamlbench.report.table.best_cells import MIN_RUNS
from mamlbench.student_t import Array


def machine_verdicts(pair: ConfigurationPair, thresholds: Sequence[Threshold]) -> list[PendingVerdict]:
    """Compare the default times and memory, and those that a threshold names."""
    verdicts = []
    for metric in MACHINE_METRICS.values():
        threshold = last_applying(thresholds, metric.name)
        if not metric.by_default and threshold is None:
            continue
        missing = Verdict(pair.name, metric.name, "", metric.unit, metric.scale, metric.lower_is_better, "missing")
        missing = replace(missing, gated=threshold is not None, changed=pair.changed)
        verdicts.append(_machine_verdict(pair, metric, threshold, missing))
    return verdicts


def _machine_verdict(
    pair: ConfigurationPair, metric: MachineMetric, threshold: Threshold | None, missing: Verdict
) -> PendingVerdict:
    reason = missing_reason(pair)
    if reason or pair.base is None or pair.head is None:
        return PendingVerdict(replace(missing, detail=reason, passes=pair.base is None))  # new in HEAD: nothing to fail
    base, head = machine_values(pair.base, metric), machine_values(pair.head, metric)
    if not base.size or not head.size:
        return PendingVerdict(replace(missing, detail=f"not measured in {'BASE' if not base.size else 'HEAD'}"))
    verdict = replace(missing, base=float(base.mean()), head=float(head.mean()))
    base_machine, head_machine = pair.base.machine, pair.head.machine
    differing = [name for name in {**base_machine, **head_machine} if base_machine.get(name) != head_machine.get(name)]
    if differing:
        return PendingVerdict(replace(verdict, kind="not comparable", detail=f"different {', '.join(differing)}"))
    if not (np.isfinite([*base, *head]).all() and min(*base, *head) > 0):  # logarithms are taken below
        return PendingVerdict(replace(verdict, detail="a value is not a positive number"))
    return _compare_runs(replace(verdict, margin=_margin(metric, threshold, verdict)), base, head)


def _compare_runs(verdict: Verdict, base: Array, head: Array) -> PendingVerdict:
    """Compare positive values ``[runs]`` of BASE and HEAD as ratios: by the difference of their logarithms."""
    head_interval = interval_over_seeds(list(map(float, head))) if head.size > 1 else None
    half_width = (head_interval.high - head_interval.low) / 2 if head_interval else None
    verdict = replace(verdict, kind="inconclusive", head_half_width=half_width)
    lacking = [
        f"{MIN_RUNS - size} more of {name}"
        for name, size in (("BASE", base.size), ("HEAD", head.size))
        if size < MIN_RUNS
    ]
    if lacking:
        change = verdict.head / verdict.base - 1 if verdict.head and verdict.base else None
        detail = f"needs {MIN_RUNS} runs on each side: {' and '.join(lacking)}"
        return PendingVerdict(replace(verdict, change=change, detail=detail))
    sign = 1.0 if verdict.lower_is_better else -1.0
    # ``compare`` takes [runs, episodes]. Runs have no episodes, so each value is repeated.
    logs = [np.repeat(sign * np.log(values)[:, None], 2, axis=1) for values in (head, base)]
    return PendingVerdict(verdict, compare(*logs, equal_variance=True), (base.size, head.size, 0))


def _margin(metric: MachineMetric, threshold: Threshold | None, verdict: Verdict) -> float:
    """Return the allowed change for the worse, relative to BASE."""
    if threshold is None:
        return metric.margin
    if threshold.relative:
        return threshold.amount
    return threshold.amount / verdict.base if verdict.base else 0.0


def machine_values(configuration: Configuration, metric: MachineMetric) -> Array:
    """Return a time or memory of each run that measured it."""
    values = [metric.value(measurement) for measurement in configuration.row.measurements]
    return np.asarray([value for value in values if value is not None], float)

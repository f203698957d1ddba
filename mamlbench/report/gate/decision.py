"""Deciding verdicts, with the family-wise error rate controlled over all comparisons.

*worse* needs both: a change of more than the margin, and significance (two-sided, Holm-corrected over all comparisons
that can fail the gate). *same* needs equivalence: the true difference is shown to be within the margin both ways. If
neither is shown the verdict is *inconclusive*, and says what would decide it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mamlbench.report.gate.configurations import ConfigurationPair
from mamlbench.report.gate.machine_verdicts import machine_verdicts
from mamlbench.report.gate.metrics import MACHINE_METRICS
from mamlbench.report.gate.score_verdicts import score_verdicts
from mamlbench.report.gate.thresholds import Threshold
from mamlbench.report.gate.verdict import PendingVerdict, Population, Verdict, VerdictKind
from mamlbench.report.gate.what_decides import what_decides
from mamlbench.report.statistics.multiple_comparisons import holm
from mamlbench.report.statistics.significance_tests import Comparison
from mamlbench.student_t import LEVEL


def judge(
    pairs: Sequence[ConfigurationPair],
    thresholds: Sequence[Threshold] = (),
    population: Population = "these classes",
) -> list[Verdict]:
    """Return a verdict on every metric of every pair. Raises ConfigError if a threshold does not fit a metric."""
    pending = [
        replace(entry, verdict=replace(entry.verdict, series=f"{pair.short_name} #{pair.identifier}"))
        for pair in pairs
        for entry in (*score_verdicts(pair, thresholds, population), *machine_verdicts(pair, thresholds))
    ]
    adjusted: dict[int, float] = {}
    # Comparisons with a threshold are a family of their own: the others cannot fail the gate and must not weaken it.
    for gated in (True, False):
        family = {
            index: float(entry.comparison.p_value)
            for index, entry in enumerate(pending)
            if entry.comparison is not None and entry.verdict.gated is gated
        }
        if family:
            adjusted |= dict(zip(family, map(float, holm(list(family.values()))), strict=True))
    return [decide(entry, adjusted.get(index, 1.0)) for index, entry in enumerate(pending)]


def decide(pending: PendingVerdict, p_value: float) -> Verdict:
    """Turn a comparison into a verdict, given its p-value after the correction for all comparisons."""
    verdict, comparison = pending.verdict, pending.comparison
    if comparison is None:
        return verdict
    is_machine = verdict.metric in MACHINE_METRICS
    margin = _log_margin(verdict) if is_machine else verdict.margin
    kind, passes = _kind(comparison, margin, p_value)
    worse_by = float(comparison.difference)
    low, high = sorted(_change(float(end), verdict) for end in comparison.confidence_interval())
    detail = "" if kind != "inconclusive" else what_decides(pending, margin, p_value)
    if kind == "inconclusive" and passes:
        detail = "not worse by more than the margin; better or same is undecided"
    return replace(
        verdict,
        kind=kind,
        passes=passes,
        change=_change(worse_by, verdict),
        low=low,
        high=high,
        p_value=p_value,
        claim="runs" if is_machine else comparison.claim,
        detail=detail,
        effect_size=float(comparison.effect_size) * (1.0 if verdict.lower_is_better else -1.0),
        minimum_detectable_effect=_change(float(comparison.minimum_detectable_effect), verdict),
    )


def _kind(comparison: Comparison, margin: float, p_value: float) -> tuple[VerdictKind, bool]:
    """Return the kind of verdict, and whether it passes. A positive difference is worse."""
    worse_by = float(comparison.difference)
    significant = p_value < LEVEL
    kind: VerdictKind = "inconclusive"
    if significant and worse_by > margin:
        kind = "worse"
    elif bool(comparison.is_equivalent(margin)):  # before 'better': a significant change within the margin is 'same'
        kind = "same"
    elif significant and worse_by < 0:
        kind = "better"
    # The gate needs only noninferiority (one-sided), so an inconclusive verdict passes if 'worse' is ruled out.
    _, upper = comparison.confidence_interval(1 - 2 * LEVEL)
    passes = kind in ("same", "better") or (kind != "worse" and float(upper) < margin)
    return kind, passes


def _log_margin(verdict: Verdict) -> float:
    """Convert a relative margin to the logarithm of the ratio."""
    if verdict.lower_is_better:
        return math.log1p(verdict.margin)
    return -math.log1p(-verdict.margin) if verdict.margin < 1 else math.inf


def _change(worse_by: float, verdict: Verdict) -> float:
    """Convert a difference for the worse to HEAD minus BASE, relative to BASE for times and memory."""
    signed = worse_by if verdict.lower_is_better else -worse_by
    return math.expm1(signed) if verdict.metric in MACHINE_METRICS else signed

"""The result of a gate: from the records of two sides to verdicts and one exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mamlbench.errors import ConfigError, ExitCode, did_you_mean
from mamlbench.record import RunRecord
from mamlbench.report.gate.configurations import ConfigurationPair, pair_configurations
from mamlbench.report.gate.decision import judge
from mamlbench.report.gate.metrics import FIRST_METRIC, MACHINE_METRICS
from mamlbench.report.gate.thresholds import Threshold
from mamlbench.report.gate.verdict import Population, Verdict
from mamlbench.report.loading import LoadedRecords
from mamlbench.report.table.tuning_budgets import budget_of, trials_text


@dataclass(frozen=True)
class GateResult:
    """All verdicts, and whether the gate passes."""

    verdicts: list[Verdict]
    exit_code: ExitCode
    reasons: list[str]
    """One sentence for each reason why the gate fails; empty if it passes."""
    notes: list[str]
    """Additional remarks."""


def compare_records(
    base: LoadedRecords,
    head: LoadedRecords,
    thresholds: Sequence[Threshold] = (),
    population: Population = "these classes",
) -> GateResult:
    """Compare HEAD with BASE, for these test classes or for new ones.

    The exit code is REGRESSION if a metric with a threshold is worse. It is NOTHING if nothing could be compared, or if
    a threshold depends on something undecided: an inconclusive or missing verdict, or a file that could not be read. It
    is OK if every metric with a threshold is shown to be no worse than allowed. Without thresholds nothing is worse.

    Raises ConfigError if a threshold does not fit a metric, or names one that no record reports.
    """
    _check_names(thresholds, [*base.records, *head.records])
    pairs = pair_configurations(base.records, head.records)
    verdicts = judge(pairs, thresholds, population)
    worse = [_sentence(verdict) for verdict in verdicts if verdict.gated and verdict.kind == "worse"]
    undecided = [
        _sentence(verdict) for verdict in verdicts if verdict.gated and verdict.kind != "worse" and not verdict.passes
    ]
    if thresholds:  # a file that could not be read may hold the regression
        undecided += [f"Skipped: {problem}" for problem in (*base.problems, *head.problems)]
        undecided += _unused(verdicts, thresholds)
    if not any(verdict.kind in ("better", "worse", "same", "inconclusive") for verdict in verdicts):
        undecided.insert(0, "BASE and HEAD have nothing that can be compared.")
    code = ExitCode.REGRESSION if worse else ExitCode.NOTHING if undecided else ExitCode.OK
    return GateResult(verdicts, code, [*worse, *undecided], [*_notes_on_ignored(pairs), *_notes_on_tuning(pairs)])


def _notes_on_ignored(pairs: Sequence[ConfigurationPair]) -> list[str]:
    return [
        f"{pair.name}: {side.ignored} older record(s) of {name} by different code or on different data were ignored."
        for pair in pairs
        for name, side in (("BASE", pair.base), ("HEAD", pair.head))
        if side is not None and side.ignored
    ]


def _notes_on_tuning(pairs: Sequence[ConfigurationPair]) -> list[str]:
    """Return one sentence for each pair whose sides were tuned with unequal numbers of trials."""
    both = [(pair.name, pair.base.row, pair.head.row) for pair in pairs if pair.base and pair.head]
    return [
        f"{name}: the options were tuned unequally (BASE: {trials_text(budget_of(base))}, HEAD: "
        f"{trials_text(budget_of(head))}), so that a change may come from tuning."
        for name, base, head in both
        if budget_of(base) != budget_of(head)
    ]


def _unused(verdicts: Sequence[Verdict], thresholds: Sequence[Threshold]) -> list[str]:
    """Report thresholds that apply to no comparison: they would pass without checking anything."""
    gated = [verdict for verdict in verdicts if verdict.gated]
    return [
        f"The threshold on {threshold.metric} applies to no comparison."
        for threshold in thresholds
        if not any(_may_apply(threshold, verdict) for verdict in gated)
    ]


def _may_apply(threshold: Threshold, verdict: Verdict) -> bool:
    if verdict.metric in MACHINE_METRICS or threshold.metric in MACHINE_METRICS:
        return threshold.metric == verdict.metric
    unknown = verdict.metric == "score"  # nothing was tested
    return unknown or threshold.metric in ("score", verdict.mode) or threshold.is_of(verdict.metric)


def _check_names(thresholds: Sequence[Threshold], records: Sequence[RunRecord]) -> None:
    """Raise ConfigError for a threshold on a metric that no record reports. Without tests nothing is known."""
    reported = {metric for record in records if record.test is not None for metric in record.test.metrics}
    known = {*FIRST_METRIC, *MACHINE_METRICS, *reported}
    problems = [
        f"'{threshold}': no record reports the metric '{threshold.metric}'.{did_you_mean(threshold.metric, known)}"
        for threshold in thresholds
        if threshold.metric not in known and not any(map(threshold.is_of, reported))
    ]
    if reported and problems:
        raise ConfigError(*problems)


def _sentence(verdict: Verdict) -> str:
    detail = f": {verdict.detail}" if verdict.detail else ""
    return f"{verdict.configuration}: {verdict.label} is {verdict.kind}{detail}"

"""What a gate lets through: from records of two sides to one exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mamlbench.errors import ExitCode
from mamlbench.report.gate.cells import pair_cells
from mamlbench.report.gate.metrics import MACHINE
from mamlbench.report.gate.thresholds import Threshold
from mamlbench.report.gate.verdicts import Verdict, judge
from mamlbench.report.loading import Reading


@dataclass(frozen=True)
class Outcome:
    """All verdicts, and whether the gate opens."""

    verdicts: list[Verdict]
    exit_code: ExitCode
    reasons: list[str]
    """A sentence for each thing that keeps the gate shut; empty where it opens."""
    notes: list[str]
    """What a reader must know besides."""


def compare_records(base: Reading, head: Reading, thresholds: Sequence[Threshold] = ()) -> Outcome:
    """Judge HEAD against BASE.

    The code is OK where every metric that a threshold depends on is shown to be no worse than it allows, REGRESSION
    where one is worse, and NOTHING where nothing could be compared or a threshold depends on what could not be
    decided: a verdict that is missing, a file that could not be read. Without thresholds nothing can fail.

    Raises ConfigError where a threshold does not fit a metric.
    """
    pairs = pair_cells(base.records, head.records)
    verdicts = judge(pairs, thresholds)
    notes = [
        f"{pair.name}: {cell.left_out} older record(s) of {side}, by other code or on other data, were left out."
        for pair in pairs
        for side, cell in (("BASE", pair.base), ("HEAD", pair.head))
        if cell is not None and cell.left_out
    ]
    worse = [_sentence(each) for each in verdicts if each.gated and each.word == "worse"]
    open_ = [_sentence(each) for each in verdicts if each.gated and each.word != "worse" and not each.passes]
    if thresholds:
        open_ += [f"Skipped: {problem}" for problem in (*base.problems, *head.problems)]
        open_ += _idle(verdicts, thresholds)
    if not any(each.word in ("better", "worse", "same", "inconclusive") for each in verdicts):
        open_.insert(0, "Nothing of BASE and HEAD can be compared.")
    code = ExitCode.REGRESSION if worse else ExitCode.NOTHING if open_ else ExitCode.OK
    return Outcome(verdicts, code, [*worse, *open_], notes)


def _idle(verdicts: Sequence[Verdict], thresholds: Sequence[Threshold]) -> list[str]:
    """A threshold that met no metric watches nothing."""
    gated = {each.metric for each in verdicts if each.gated}
    said = []
    for threshold in thresholds:
        scores = threshold.metric in ("accuracy", "score")
        met = bool(gated - set(MACHINE)) if scores else threshold.metric in gated
        if not met:
            said.append(f"The threshold on {threshold.metric} met no cell that has it.")
    return said


def _sentence(verdict: Verdict) -> str:
    why = f": {verdict.detail}" if verdict.detail else ""
    return f"{verdict.cell}: {verdict.metric} is {verdict.word}{why}"

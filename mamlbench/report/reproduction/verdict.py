"""The verdict on a reproduction: the paper's number beside ours, and whether they may be compared at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mamlbench.record import PublishedNumber, RunRecord
from mamlbench.record.reproduction import PlannedReproduction
from mamlbench.report.reproduction.equivalence import (
    NORMAL_90,
    NORMAL_95,
    Difference,
    Score,
    compare_with_source,
)
from mamlbench.report.statistics.estimates import Estimate, estimate
from mamlbench.report.table.groups import RowRuns
from mamlbench.student_t import LEVEL, t_quantile

VerdictKind = Literal["reproduced", "below", "above", "inconclusive", "not comparable"]


@dataclass(frozen=True)
class ReproductionVerdict:
    """One reading's verdict. Scores, differences and margin are in the unit of the number: percent, not fractions."""

    name: str
    """of the reproduction, with its reading"""
    number: PublishedNumber
    kind: VerdictKind
    reasons: tuple[str, ...] = ()
    """why it is not comparable or not decided, a sentence each"""
    ours: float | None = None
    """None: there is no score in the number's metric and mode"""
    half_width: float | None = None
    """of the 95 % interval of our score"""
    over: str = ""
    """what that interval is over: 'episodes' or 'seeds'"""
    seeds: int = 0
    """training seeds"""
    difference: Difference | None = None
    """ours minus the source's; shown also if the scores are not comparable"""
    margin: float = 0.0
    notes: tuple[str, ...] = ()
    """what does not stand in the way of a comparison, a sentence each"""
    mode: str = ""
    iterations: tuple[int, int] = (0, 0)
    """of our runs, and of the source"""
    records: tuple[str, ...] = ()
    """names of our records"""
    mistake: str = ""
    """the mistake of the original that this reading repeats; empty if there is none"""

    @property
    def scale_text(self) -> str:
        """``3,000 of 60,000 iterations (scale 0.05)``; empty if the run was as long as the source's."""
        done, full = self.iterations
        return "" if done == full else f"{done:,} of {full:,} iterations (scale {done / max(1, full):.2g})"


def judge_reproduction(planned: PlannedReproduction, records: Sequence[RunRecord]) -> ReproductionVerdict:
    """Return the verdict on one reading.

    Args:
        planned: the reading and its runs.
        records: of its runs, one for each training seed, finished and tested as the number was.
    """
    number, row = planned.number, RowRuns(list(records))
    metric, mode = number.metric, planned.mode
    our_estimate = estimate(row, metric, mode, "score")
    reasons = why_not_comparable(planned, row)
    seen_little = [text for run in row.seed_runs for text in _seen_by_coincidence(planned, run)]
    iterations = records[0].spec.training.iterations if records else 0
    verdict = ReproductionVerdict(
        name=planned.name,
        number=number,
        kind="not comparable",
        reasons=tuple(reasons),
        notes=tuple(dict.fromkeys(seen_little)),
        seeds=len(row.seed_runs),
        margin=planned.reproduction.margin,
        mode=mode,
        iterations=(iterations, planned.full.training.iterations),
        records=tuple(record.name for record in records),
        mistake=planned.mistake,
    )
    if our_estimate is None:
        return verdict
    factor = 100.0 if number.unit == "%" else 1.0
    ours = _our_score(our_estimate, row, planned, factor)
    difference = compare_with_source(ours, source_score(planned), verdict.margin)
    values = {"ours": ours.mean, "half_width": factor * our_estimate.half_width, "over": our_estimate.over}
    verdict = ReproductionVerdict(**{**vars(verdict), **values, "difference": difference})
    if reasons:
        return verdict
    detail = (_what_decides(planned, difference),) if difference.kind == "inconclusive" else ()
    return ReproductionVerdict(**{**vars(verdict), "kind": difference.kind, "reasons": detail})


def source_score(planned: PlannedReproduction) -> Score:
    """The published number with its standard error; without ± it is taken as exact."""
    number, error = planned.number, planned.reproduction.standard_error
    if error is None:
        error = 0.0 if number.interval is None else number.interval / NORMAL_95
    return Score(number.score, error)


def _our_score(our_estimate: Estimate, row: RowRuns, planned: PlannedReproduction, factor: float) -> Score:
    """Our score, with the standard error that its 95 % interval (Student's t) stands for."""
    results = row.mode_results(planned.number.metric, planned.mode)
    over_seeds = our_estimate.over == "seeds"
    count = len(results) if over_seeds else min(len(result.episode_scores) for result in results)
    df = max(1, count - 1)
    error = factor * our_estimate.half_width / float(t_quantile(1 - LEVEL / 2, df))
    return Score(factor * our_estimate.interval.mean, error, df)


def why_not_comparable(planned: PlannedReproduction, row: RowRuns) -> list[str]:
    """Return every reason why our score must not be compared with the number, a sentence each; none: it may be."""
    number = planned.number
    if not row.tests:
        return ["no run has finished"]
    reasons = [planned.not_comparable] if planned.not_comparable else []
    if number.trained_on:
        reasons.append(f"the source trained on {number.trained_on}, here on training classes alone")
    for run in row.seed_runs:
        reasons += [*_of_the_run(planned, run), *_of_the_test(number, run)]
        if not _seen_by_coincidence(planned, run):
            reasons += [f"leak: {reason}" for reason in _seen(run)]
    if not row.mode_results(number.metric, planned.mode):
        reasons.append(f"{number.metric} was not tested in the mode {planned.mode}")
    return list(dict.fromkeys(reasons))


def _of_the_run(planned: PlannedReproduction, run: RunRecord) -> list[str]:
    done, full = run.spec.training.iterations, planned.full.training.iterations
    reasons = []
    if done < full:
        reasons.append(f"run here at a scale of {done / full:.2g}: {done:,} of {full:,} iterations")
    if run.data is not None and run.data.subset is not None:
        reasons.append(f"run here on a part of {run.spec.dataset.name}: {run.data.subset}")
    if run.spec.dataset.name != planned.number.dataset:
        reasons.append(f"the source's data set is {planned.number.dataset}, here {run.spec.dataset.name}")
    return reasons


def _of_the_test(number: PublishedNumber, run: RunRecord) -> list[str]:
    test = run.test
    assert test is not None
    protocol = test.protocol
    pairs = (
        ("classes per episode", number.ways, protocol.ways),
        ("support examples per class", number.shots, protocol.shots),
        # in regression, queries are points of a wave: more of them estimate the same error
        ("query examples per class", number.queries if number.ways else None, protocol.queries),
        ("adaptation steps", number.steps, test.adaptation_steps),
    )
    reasons = [
        f"another protocol: {theirs} {words} in the source, here {ours}"
        for words, theirs, ours in pairs
        if theirs is not None and theirs != ours
    ]
    return [*reasons, *(f"leak: {leak}" for leak in test.leaks)]


def _seen(run: RunRecord) -> list[str]:
    """What the network saw of the test split in training; what splits share is a leak of its own."""
    test = run.test
    seen = None if test is None or test.leaks else test.seen
    return list(seen.reasons) if seen is not None and seen.answer == "seen" else []


def _seen_by_coincidence(planned: PlannedReproduction, run: RunRecord) -> list[str]:
    """What the network saw, if it is of so few test classes that it counts as a coincidence; else nothing.

    That is a convention: as many per cent of the test classes as half of the margin has points. In 28 x 28 black and
    white pixels a drawing of Omniglot may equal one of another character.
    """
    reasons = _seen(run)
    classes = run.data.split_sizes.get("test", 0) if run.data is not None else 0
    if not reasons or not classes or run.test is None or run.test.seen is None or planned.number.unit != "%":
        return []
    percent = 100 * run.test.seen.classes / classes
    if percent > planned.reproduction.margin / 2:
        return []
    return [f"{reason}: with {percent:.2g} % of the classes it counts as a coincidence" for reason in reasons]


def _what_decides(planned: PlannedReproduction, difference: Difference) -> str:
    """Say what would decide an inconclusive comparison."""
    number, margin = planned.number, planned.reproduction.margin
    interval = f"the 90 % interval of the difference, {difference.low:+.2f} to {difference.high:+.2f},"
    if NORMAL_90 * source_score(planned).standard_error >= margin:
        return f"{interval} reaches beyond the margin of {margin:g}; the source's own ± is too wide for a run to decide"
    more = "more seeds or test episodes would decide" if math.isfinite(difference.low) else "its interval is infinite"
    return f"{interval} reaches beyond the margin of {margin:g} {number.unit}".rstrip() + f": {more}"

"""One verdict per cell and metric: better, worse, same, inconclusive, not comparable or missing.

*worse* takes both: more than the margin, and more than chance (two-sided, corrected after Holm with all comparisons
that could fail the gate). *same* takes equivalence: the true difference is shown to be within the margin either way.
Where neither is shown the verdict is *inconclusive*, with what would decide it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mamlbench.errors import ConfigError
from mamlbench.report.gate.cells import Cell, Pair
from mamlbench.report.gate.metrics import MACHINE, SCORE_MARGIN, SHARE_MARGIN, MachineMetric
from mamlbench.report.gate.thresholds import Threshold
from mamlbench.report.statistics.cochran_cox import Array
from mamlbench.report.statistics.comparison import LEVEL, SEEDS_IN_ALL, Comparison, compare, holm, quantile
from mamlbench.report.statistics.episode_scores import episode_scores
from mamlbench.report.statistics.estimates import estimate, over_seeds
from mamlbench.report.statistics.significance import REPEATS

Word = Literal["better", "worse", "same", "inconclusive", "not comparable", "missing"]
MOST = 1000
"""A remedy of more than so many times what there is, is none."""


@dataclass(frozen=True)
class Verdict:
    """What is said of one metric of one cell."""

    cell: str
    metric: str
    unit: str
    """'%' where values are fractions."""
    scale: float
    """From base units to the unit."""
    lower_is_better: bool
    word: Word
    detail: str = ""
    """Why, or what would decide."""
    base: float | None = None
    head: float | None = None
    change: float | None = None
    """HEAD minus BASE; relative to BASE for times and memory."""
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % interval of the change."""
    head_half_width: float | None = None
    """Of HEAD's own 95 % interval."""
    margin: float = 0.0
    """In the unit of the change."""
    claim: str = ""
    """'algorithms' or 'checkpoints' for scores, 'runs' for times and memory."""
    p_value: float | None = None
    """Corrected."""
    effect_size: float | None = None
    """HEAD minus BASE in standard deviations: of the paired differences between episodes where the claim is about
    checkpoints, else of the seeds' (the runs') means; of logarithms for times and memory."""
    detectable: float | None = None
    """The smallest change for the worse that would be shown in 80 % of repetitions, before the correction."""
    gated: bool = False
    """Whether a threshold depends on it."""
    passes: bool = False
    """Whether HEAD is shown to be no worse than the margin allows."""
    changed: list[str] = field(default_factory=list)
    """Settings that differ between the sides."""


@dataclass(frozen=True)
class _Judged:
    """A verdict to be, with the comparison that it hangs on (positive: worse)."""

    verdict: Verdict
    comparison: Comparison | None = None
    sizes: tuple[int, int, int] = (0, 0, 0)
    """Runs or seeds of BASE and HEAD, and episodes (0 for times and memory)."""


def judge(pairs: Sequence[Pair], thresholds: Sequence[Threshold] = ()) -> list[Verdict]:
    """Give a verdict on every metric of every pair. Raises ConfigError where a threshold does not fit a metric."""
    found = [each for pair in pairs for each in (*_scores(pair, thresholds), *_machine(pair, thresholds))]
    adjusted: dict[int, float] = {}
    for gated in (True, False):
        family = [place for place, each in enumerate(found) if each.comparison and each.verdict.gated is gated]
        p_values = [float(found[place].comparison.p_value) for place in family]  # type: ignore[union-attr]
        adjusted |= dict(zip(family, map(float, holm(p_values)) if family else (), strict=True))
    return [_decide(each, adjusted.get(place, 1.0)) for place, each in enumerate(found)]


def _scores(pair: Pair, thresholds: Sequence[Threshold]) -> list[_Judged]:
    """Verdicts on every mode that either side was tested in."""
    sides = [side for side in (pair.base, pair.head) if side is not None]
    tests = [test for side in sides for test in side.row.tests]
    if not tests:
        return [_Judged(_missing(pair, mode, thresholds)) for mode in pair_modes(sides)]
    unit, lower, name = tests[0].unit, not tests[0].higher_is_better, tests[0].metric
    judged = []
    for mode in dict.fromkeys(mode for test in tests for mode in test.modes):
        threshold = _threshold(thresholds, mode, name)
        scale = 100.0 if unit == "%" else 1.0
        empty = Verdict(
            pair.name, mode, unit, scale, lower, "missing", gated=threshold is not None, changed=pair.changed
        )
        judged.append(_score(pair, mode, threshold, empty))
    return judged


def pair_modes(sides: Sequence[Cell]) -> list[str]:
    """Modes that were to be tested."""
    return list(dict.fromkeys(mode for side in sides for mode in side.row.runs[0].spec.protocol.modes))


def _score(pair: Pair, mode: str, threshold: Threshold | None, empty: Verdict) -> _Judged:
    why = _absent(pair)
    if why or pair.base is None or pair.head is None:
        return _Judged(replace(empty, detail=why, passes=pair.base is None))
    differences = pair.base.conditions.differences(pair.head.conditions)
    if differences:
        return _Judged(replace(empty, word="not comparable", detail=", ".join(differences)))
    base, head = (episode_scores(side.row, mode) for side in (pair.base, pair.head))
    if base is None or head is None or base.shape[-1] != head.shape[-1]:
        return _Judged(replace(empty, detail="the scores of the single episodes are missing or no numbers"))
    own = estimate(pair.head.row, mode, "score")
    values = replace(
        empty,
        base=float(base.mean()),
        head=float(head.mean()),
        word="inconclusive",
        head_half_width=own.half_width if own else None,
    )
    values = replace(values, margin=_score_margin(threshold, values))
    alike = [run.spec.seed for run in pair.base.row.seeds] == [run.spec.seed for run in pair.head.row.seeds]
    if alike and np.array_equal(base, head):
        return _Judged(
            replace(
                values,
                word="same",
                passes=True,
                change=0.0,
                low=0.0,
                high=0.0,
                p_value=1.0,
                detail="equal in every episode",
            )
        )
    seeds = len(base), len(head)
    if sum(seeds) < SEEDS_IN_ALL and not alike:
        more = SEEDS_IN_ALL - sum(seeds)
        return _Judged(
            replace(
                values,
                detail=f"other training seeds on either side: {more} more would tell whether "
                "they or the code make the difference",
            )
        )
    sign = 1.0 if empty.lower_is_better else -1.0
    return _Judged(values, compare(sign * head, sign * base, same_spread=True), (*seeds, base.shape[-1]))


def _score_margin(threshold: Threshold | None, verdict: Verdict) -> float:
    base = abs(verdict.base or 0.0)
    if threshold is None:
        return SHARE_MARGIN if verdict.unit == "%" else SCORE_MARGIN * base
    if threshold.points and verdict.unit != "%":
        raise ConfigError(
            f"'{threshold.metric}' is no percentage in '{verdict.cell}': give its threshold in % or plain."
        )
    if threshold.sign and threshold.sign != ("+" if verdict.lower_is_better else "-"):
        raise ConfigError(
            f"'{threshold.metric}' is worse where it is {'higher' if verdict.lower_is_better else 'lower'} in "
            f"'{verdict.cell}': turn the threshold's sign, or leave it out."
        )
    return threshold.amount * base if threshold.relative else threshold.amount


def _machine(pair: Pair, thresholds: Sequence[Threshold]) -> list[_Judged]:
    judged = []
    for metric in MACHINE.values():
        threshold = _threshold(thresholds, metric.name, "")
        if not metric.shown and threshold is None:
            continue
        empty = Verdict(
            pair.name,
            metric.name,
            metric.unit,
            metric.scale,
            metric.lower_is_better,
            "missing",
            gated=threshold is not None,
            changed=pair.changed,
        )
        judged.append(_measured(pair, metric, threshold, empty))
    return judged


def _measured(pair: Pair, metric: MachineMetric, threshold: Threshold | None, empty: Verdict) -> _Judged:
    why = _absent(pair)
    if why or pair.base is None or pair.head is None:
        return _Judged(replace(empty, detail=why, passes=pair.base is None))
    ours, theirs = pair.base.machine, pair.head.machine
    other = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    base, head = (_values(side, metric) for side in (pair.base, pair.head))
    if not base.size or not head.size:
        return _Judged(replace(empty, detail=f"not measured in {'BASE' if not base.size else 'HEAD'}"))
    values = replace(empty, base=float(base.mean()), head=float(head.mean()))
    if other:
        return _Judged(replace(values, word="not comparable", detail=f"other {', '.join(other)}"))
    if not (np.isfinite([*base, *head]).all() and min(*base, *head) > 0):
        return _Judged(replace(values, detail="a value is not a positive number"))
    margin = metric.margin if threshold is None else threshold.amount
    if threshold is not None and not threshold.relative:
        margin = threshold.amount / values.base if values.base else 0.0
    own = over_seeds(list(map(float, head))) if head.size > 1 else None
    values = replace(
        values, word="inconclusive", margin=margin, head_half_width=(own.high - own.low) / 2 if own else None
    )
    lacking = [
        f"{REPEATS - size} more of {side}"
        for side, size in (("BASE", base.size), ("HEAD", head.size))
        if size < REPEATS
    ]
    if lacking:
        return _Judged(
            replace(
                values,
                change=values.head / values.base - 1 if values.head and values.base else None,
                detail=f"needs {REPEATS} runs on either side: {' and '.join(lacking)}",
            )
        )
    sign = 1.0 if metric.lower_is_better else -1.0
    logs = [np.repeat(sign * np.log(each)[:, None], 2, axis=1) for each in (head, base)]  # there are no episodes
    return _Judged(values, compare(*logs, same_spread=True), (base.size, head.size, 0))


def _values(cell: Cell, metric: MachineMetric) -> Array:
    found = [metric.value(measured) for measured in cell.row.measurements]
    return np.asarray([value for value in found if value is not None], float)


def _absent(pair: Pair) -> str:
    """Why there is nothing to compare; empty where there is."""
    for side, cell in (("BASE", pair.base), ("HEAD", pair.head)):
        if cell is None:
            return f"not in {side}" + (": new" if side == "BASE" else "")
        if side == "HEAD" and cell.row.unfinished:
            run = cell.row.unfinished[-1]
            done = len(cell.row.seeds)
            return f"HEAD {run.status} with seed {run.spec.seed} ({done} finished)" + (
                f": {run.reason}" if run.reason else ""
            )
        if not cell.row.seeds:
            return f"no run of {side} finished"
    return ""


def _missing(pair: Pair, mode: str, thresholds: Sequence[Threshold]) -> Verdict:
    """Nothing was tested on either side, so that nobody knows the metric: every threshold on scores counts."""
    gated = any(threshold.metric not in MACHINE for threshold in thresholds)
    return Verdict(
        pair.name,
        mode,
        "",
        1.0,
        False,
        "missing",
        _absent(pair),
        gated=gated,
        passes=pair.base is None,
        changed=pair.changed,
    )


def _threshold(thresholds: Sequence[Threshold], metric: str, name: str) -> Threshold | None:
    """The last one that covers a metric: later ones are more particular, or mean to replace earlier ones."""
    return next((each for each in reversed(thresholds) if each.covers(metric, name)), None)


def _decide(judged: _Judged, p_value: float) -> Verdict:
    verdict, found = judged.verdict, judged.comparison
    if found is None:
        return verdict
    machine = verdict.metric in MACHINE
    margin = _margin_of_logs(verdict) if machine else verdict.margin
    worse_by = float(found.difference)
    significant = p_value < LEVEL
    low, high = (float(each) for each in found.interval())
    _, upper = (float(each) for each in found.interval(1 - 2 * LEVEL))
    word: Word = "inconclusive"
    if significant and worse_by > margin:
        word = "worse"
    elif bool(found.equivalent(margin)):
        word = "same"
    elif significant and worse_by < 0:
        word = "better"
    passes = word in ("same", "better") or (word != "worse" and upper < margin)
    ends = sorted((_change(low, verdict), _change(high, verdict)))
    detail = "" if word != "inconclusive" else _remedy(judged, margin, p_value)
    if word == "inconclusive" and passes:
        detail = "not worse by more than the margin; whether it is better is open"
    return replace(
        verdict,
        word=word,
        passes=passes,
        change=_change(worse_by, verdict),
        low=ends[0],
        high=ends[1],
        p_value=p_value,
        claim="runs" if machine else found.claim,
        detail=detail,
        effect_size=float(found.effect_size) * (1.0 if verdict.lower_is_better else -1.0),
        detectable=_change(float(found.detectable), verdict),
    )


def _margin_of_logs(verdict: Verdict) -> float:
    """How far a ratio must move for the worse, as a logarithm."""
    if verdict.lower_is_better:
        return math.log1p(verdict.margin)
    return -math.log1p(-verdict.margin) if verdict.margin < 1 else math.inf


def _change(worse_by: float, verdict: Verdict) -> float:
    """HEAD minus BASE from 'worse by', or its share of BASE."""
    signed = worse_by if verdict.lower_is_better else -worse_by
    return math.expm1(signed) if verdict.metric in MACHINE else signed


def _remedy(judged: _Judged, margin: float, p_value: float) -> str:
    """How many more episodes, seeds or repeats would decide, if the difference stayed what it is."""
    found = judged.comparison
    assert found is not None
    worse_by, error, freedom = (float(each) for each in (found.difference, found.error, found.freedom))
    correction = min(1.0, max(float(found.p_value), 1e-12) / max(p_value, 1e-12))  # what Holm left of the level
    if worse_by > margin:
        needed = worse_by / float(quantile(1 - LEVEL * correction / 2, freedom))
    else:
        needed = (margin - worse_by) / float(quantile(1 - LEVEL, freedom))
    times = (error / needed) ** 2 if needed > 0 else math.inf
    base, head, episodes = judged.sizes
    if times > MOST:
        return "the difference is at the margin: no sensible number of runs would decide"
    if not episodes:
        return f"about {_more(min(base, head), times)} more runs on either side would decide"
    if found.claim == "checkpoints":
        return f"about {_more(episodes, times)} more test episodes would decide"
    return f"about {_more(min(base, head), times)} more seeds on either side would decide"


def _more(there_are: int, times: float) -> str:
    return f"{max(1, math.ceil(there_are * times) - there_are):,}"

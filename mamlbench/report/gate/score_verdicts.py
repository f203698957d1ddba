"""Pending verdicts on scores: comparisons per metric and mode, over shared test episodes and training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mamlbench.errors import ConfigError
from mamlbench.record import MetricResult
from mamlbench.report.gate.configurations import Configuration, ConfigurationPair
from mamlbench.report.gate.metrics import FRACTION_MARGIN, MACHINE_METRICS, SCORE_MARGIN
from mamlbench.report.gate.thresholds import Threshold, last_applying
from mamlbench.report.gate.verdict import PendingVerdict, Population, Verdict
from mamlbench.report.statistics.episode_scores import classes_of, episode_scores
from mamlbench.report.statistics.estimates import estimate
from mamlbench.report.statistics.significance_tests import MIN_SEEDS_IN_TOTAL, compare
from mamlbench.report.table.seen_test_data import seen_doubts, seen_in_any
from mamlbench.shared_classes import SharedClasses
from mamlbench.student_t import Array


def score_verdicts(
    pair: ConfigurationPair, thresholds: Sequence[Threshold], population: Population = "these classes"
) -> list[PendingVerdict]:
    """Compare the scores of every metric and mode that either side was tested in.

    Raises ConfigError if a threshold does not fit the unit or the direction of a metric.
    """
    sides = [side for side in (pair.base, pair.head) if side is not None]
    tests = [test for side in sides for test in side.row.tests]
    if not tests:
        return [PendingVerdict(_untested(pair, mode, thresholds)) for mode in _planned_modes(sides)]
    verdicts = []
    metrics = {name: result for test in tests for name, result in test.metrics.items()}
    for metric, result in metrics.items():
        for mode in dict.fromkeys(mode for test in tests for mode in test.modes):
            threshold = last_applying(thresholds, metric, mode, is_first=metric == tests[0].metric)
            if threshold is not None:
                _check_threshold(threshold, metric, result)
            scale = 100.0 if result.unit == "%" else 1.0
            missing = Verdict(pair.name, metric, mode, result.unit, scale, not result.higher_is_better, "missing")
            missing = replace(missing, changed=pair.changed, gated=threshold is not None, population=population)
            doubts = dict.fromkeys([*(leak for test in tests for leak in test.leaks), *seen_doubts(tests)])
            missing = replace(missing, doubt="; ".join(doubts), test_data=_test_data(sides))
            verdicts.append(_score_verdict(pair, threshold, missing))
    return verdicts


def _test_data(sides: Sequence[Configuration]) -> str:
    """Say whether the networks of either side were trained on test classes or images."""
    answers = [seen.answer for side in sides if (seen := seen_in_any(side.row.tests)) is not None]
    return " → ".join(dict.fromkeys(answers))


def _planned_modes(sides: Sequence[Configuration]) -> list[str]:
    return list(dict.fromkeys(mode for side in sides for mode in side.row.runs[0].spec.protocol.modes))


def _untested(pair: ConfigurationPair, mode: str, thresholds: Sequence[Threshold]) -> Verdict:
    """Return 'missing' for a mode tested on neither side. Its metric is unknown, so any threshold on scores applies."""
    gated = any(threshold.metric not in MACHINE_METRICS for threshold in thresholds)
    verdict = Verdict(pair.name, "score", mode, "", 1.0, False, "missing", missing_reason(pair), changed=pair.changed)
    return replace(verdict, gated=gated, passes=pair.base is None)


def missing_reason(pair: ConfigurationPair) -> str:
    """Return why there is nothing to compare; empty if there is."""
    for name, side in (("BASE", pair.base), ("HEAD", pair.head)):
        if side is None:
            return "not in BASE: new" if name == "BASE" else "not in HEAD"
        # A failed seed of HEAD is a result of the change; a failed seed of BASE only leaves fewer seeds to compare.
        if name == "HEAD" and side.row.unfinished:
            run = side.row.unfinished[-1]
            reason = f": {run.reason}" if run.reason else ""
            return f"HEAD {run.status} with seed {run.spec.seed} ({len(side.row.seed_runs)} finished){reason}"
        if not side.row.seed_runs:
            return f"no run of {name} finished"
    return ""


def _score_verdict(pair: ConfigurationPair, threshold: Threshold | None, missing: Verdict) -> PendingVerdict:
    reason = missing_reason(pair)
    if reason or pair.base is None or pair.head is None:
        return PendingVerdict(replace(missing, detail=reason, passes=pair.base is None))  # new in HEAD: nothing to fail
    differences = pair.base.conditions.differences(pair.head.conditions)
    if differences:
        return PendingVerdict(replace(missing, kind="not comparable", detail=", ".join(differences)))
    metric, mode = missing.metric, missing.mode
    for name, side in (("BASE", pair.base), ("HEAD", pair.head)):
        if not side.row.mode_results(metric, mode):
            return PendingVerdict(replace(missing, detail=f"not reported by {name}"))
    base, head = (episode_scores(side.row, metric, mode) for side in (pair.base, pair.head))
    if base is not None and head is not None and pair.base.conditions.test_until is not None:
        shared_episodes = min(base.shape[-1], head.shape[-1])
        base, head = base[:, :shared_episodes], head[:, :shared_episodes]
    if base is None or head is None or base.shape[-1] != head.shape[-1]:
        return PendingVerdict(replace(missing, detail="scores per episode are missing or not finite"))
    head_estimate = estimate(pair.head.row, metric, mode, "score")
    verdict = replace(missing, kind="inconclusive", base=float(base.mean()), head=float(head.mean()))
    verdict = replace(
        verdict,
        head_half_width=head_estimate.half_width if head_estimate else None,
        margin=_score_margin(threshold, verdict),
    )
    base_seeds, head_seeds = (_seeds(side, metric) for side in (pair.base, pair.head))
    is_new = verdict.population == "new classes"
    shared = classes_of([pair.base.row, pair.head.row], base.shape[-1]) if is_new else None
    if is_new and shared is None:
        detail = "the records do not say which classes their episodes share; run again for a verdict on new classes"
        return PendingVerdict(replace(verdict, detail=detail))
    return _compare_scores(verdict, base, head, shared, same_seeds=base_seeds == head_seeds)


def _seeds(side: Configuration, metric: str) -> list[int]:
    return [run.spec.seed for run in side.row.seed_runs if run.test is not None and metric in run.test.metrics]


def _compare_scores(
    verdict: Verdict, base: Array, head: Array, shared: SharedClasses | None, *, same_seeds: bool
) -> PendingVerdict:
    """Compare scores ``[seeds, episodes]`` of BASE and HEAD."""
    if same_seeds and np.array_equal(base, head):
        equal = replace(verdict, kind="same", passes=True, change=0.0, low=0.0, high=0.0, p_value=1.0)
        return PendingVerdict(replace(equal, detail="equal in every episode"))
    seeds = len(base), len(head)
    if sum(seeds) < MIN_SEEDS_IN_TOTAL and not same_seeds:
        # With so few seeds only checkpoints can be compared, and those of different seeds differ anyway.
        more = MIN_SEEDS_IN_TOTAL - sum(seeds)
        detail = f"the sides have different training seeds; needs {more} more to separate their effect from the code's"
        return PendingVerdict(replace(verdict, detail=detail))
    sign = 1.0 if verdict.lower_is_better else -1.0
    comparison = compare(sign * head, sign * base, equal_variance=True, shared=shared)
    return PendingVerdict(verdict, comparison, (*seeds, base.shape[-1]))


def _score_margin(threshold: Threshold | None, verdict: Verdict) -> float:
    """Return the allowed change for the worse, in base units."""
    base = abs(verdict.base or 0.0)
    if threshold is None:
        return FRACTION_MARGIN if verdict.unit == "%" else SCORE_MARGIN * base
    return threshold.amount * base if threshold.relative else threshold.amount


def _check_threshold(threshold: Threshold, metric: str, result: MetricResult) -> None:
    """Raise ConfigError if the threshold does not fit the unit or the direction of the metric."""
    if threshold.percentage_points and result.unit != "%":
        raise ConfigError(f"'{threshold}': {metric} is not a percentage. Write a threshold in % or as a plain number.")
    if threshold.sign and threshold.sign != ("-" if result.higher_is_better else "+"):
        worse = "lower" if result.higher_is_better else "higher"
        raise ConfigError(f"'{threshold}': {metric} is worse if it is {worse}. Reverse the sign, or omit it.")

"""Why a score must not be read as an ability that was learned: shared classes, constant predictions, no gain."""

from __future__ import annotations

from collections.abc import Sequence

from mamlbench.record import Evaluation, Interval
from mamlbench.report.formatting import percent_or_number
from mamlbench.report.statistics.estimates import estimate
from mamlbench.report.table.groups import Group, RowRuns
from mamlbench.report.table.seen_test_data import seen_doubts

SIGN = "‡"
"""Marks a score with a doubt."""

MOSTLY = 0.9
"""Share of test episodes with a constant prediction from which on a score is marked; few may have one by chance."""

ACCURACY = "accuracy"


def evaluation_doubts(test: Evaluation, metric: str, mode: str) -> list[str]:
    """Return every doubt about one test's score in a metric and mode."""
    result = test.metrics[metric].modes[mode]
    return _doubts([test], metric, mode, result.score, result.gain)


def row_doubts(row: RowRuns, metric: str, mode: str) -> list[str]:
    """Return every doubt about a row's score in a metric and mode, over its seeds; none if nothing was tested."""
    score, gain = (estimate(row, metric, mode, quantity) for quantity in ("score", "gain"))
    tests = [test for test in row.tests if metric in test.metrics and mode in test.metrics[metric].modes]
    if score is None:
        return []
    mistakes = [f"repeats a mistake on purpose: {run.spec.mistake}" for run in row.seed_runs if run.spec.mistake]
    others = _doubts(tests, metric, mode, score.interval, None if gain is None else gain.interval)
    return [*dict.fromkeys(mistakes), *others]


def _doubts(tests: Sequence[Evaluation], metric: str, mode: str, score: Interval, gain: Interval | None) -> list[str]:
    of_episodes = [1 / ways for test in tests for ways in test.episode_ways or [test.protocol.ways]]
    chance = sum(of_episodes) / len(of_episodes)
    constant = sum(test.constant_predictions.get(mode, 0) for test in tests)
    episodes = sum(len(test.metrics[metric].modes[mode].episode_scores) for test in tests)
    doubts = list(dict.fromkeys([*(leak for test in tests for leak in test.leaks), *seen_doubts(tests)]))
    if episodes and constant >= MOSTLY * episodes:
        doubts.append(f"all queries of an episode get the same prediction ({constant:,} of {episodes:,} episodes)")
    if metric == ACCURACY and chance < 1 and not score.low > chance:
        doubts.append(f"not above chance ({percent_or_number(chance, True)} %)")
    if gain is not None and not gain.low > 0:
        doubts.append("not above the untrained network")
    if any(test.untrained_diverged for test in tests):
        doubts.append("the untrained network has no score, because its predictions are not finite")
    return doubts


def notes(group: Group) -> list[str]:
    """Return one line for each row with a doubt about a score of the shown metric."""
    lines = []
    for row in group.rows:
        modes_of: dict[str, list[str]] = {}
        for mode in group.modes:
            for doubt in row_doubts(row, group.metric, mode):
                modes_of.setdefault(doubt, []).append(mode)
        tested = [mode for mode in group.modes if row.mode_results(group.metric, mode)]
        parts = [
            doubt if modes == tested or "no score" in doubt else f"{doubt} ({', '.join(modes)})"
            for doubt, modes in modes_of.items()
        ]
        label = row.name or row.algorithm
        lines += [f"{SIGN} {label}: {'; '.join(parts)}."] if parts else []
    return lines

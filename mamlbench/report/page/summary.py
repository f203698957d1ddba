"""The first line of a table on the page: which row is best, by how much, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence

from mamlbench.report.formatting import number, with_half_width
from mamlbench.report.statistics.episode_scores import shared_scores
from mamlbench.report.statistics.estimates import estimate
from mamlbench.report.statistics.multiple_comparisons import compare_with_best
from mamlbench.report.statistics.significance_tests import MIN_SEEDS_PER_SIDE
from mamlbench.report.table.groups import Group, RowRuns
from mamlbench.student_t import Array

MAX_NAMES = 3
"""Rows named that may be best too; the others are counted."""


def summary(group: Group, rows: Sequence[RowRuns], labels: Sequence[str]) -> str:
    """Return the summary of a table in one or two sentences.

    The scores are those of the shown metric in the first mode, compared as the table's marks are.

    Args:
        group: the rows with their conditions.
        rows: in the order of the table.
        labels: what each row is called.
    """
    if not group.modes:
        return "No run was tested: there is no score."
    scores = shared_scores(rows, group.metric, group.modes[0])
    if len(scores) < 2:
        return _not_compared(group, rows, labels, len(scores))
    sign = -1.0 if group.reference is not None and not group.reference.higher_is_better else 1.0
    order = sorted(scores, key=lambda index: -sign * float(scores[index].mean()))
    compared = compare_with_best([scores[index] for index in order], higher_is_better=sign > 0)
    ties = [index for index, comparison in zip(order, compared, strict=True) if comparison.may_be_best]
    best, second = order[0], order[1]
    lead = _difference(group, abs(float(scores[best].mean() - scores[second].mean())))
    verdict = f"{lead} ahead of {labels[second]}: {'not ' * (second in ties)}significant (5 %, Holm-corrected)"
    if len(ties) > 1:
        verdict += f". Not significantly worse: {_names([labels[index] for index in ties if index != best])}"
    left_out = len(rows) - len(scores)
    return f"Best: {labels[best]}, {_score(group, rows[best])}, {verdict}.{_claim(list(scores.values()))}" + (
        f" {left_out} row{'s' if left_out > 1 else ''} without comparable scores." if left_out else ""
    )


def _names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + rest


def _claim(scores: Sequence[Array]) -> str:
    if all(len(values) >= MIN_SEEDS_PER_SIDE for values in scores):
        return ""
    return f" Rows with fewer than {MIN_SEEDS_PER_SIDE} seeds: of these checkpoints only, not of the algorithms."


def _difference(group: Group, difference: float) -> str:
    if group.reference is not None and group.reference.unit == "%":
        return f"{100 * difference:.1f} points"
    return number(difference)


def _score(group: Group, row: RowRuns) -> str:
    value = estimate(row, group.metric, group.modes[0], "score")
    if value is None or group.reference is None:
        return "no score"
    text = with_half_width(value.interval.mean, value.half_width, group.reference.unit == "%")
    return f"{text} {group.reference.unit} {group.metric}".replace("  ", " ")


def _not_compared(group: Group, rows: Sequence[RowRuns], labels: Sequence[str], comparable: int) -> str:
    scored = [index for index, row in enumerate(rows) if row.mode_results(group.metric, group.modes[0])]
    if len(scored) == 1:
        return f"One row has scores, and there is nothing to compare: {labels[scored[0]]}, " + (
            f"{_score(group, rows[scored[0]])}."
        )
    return f"{len(scored)} rows have scores, of which {comparable} can be compared: no significance test."

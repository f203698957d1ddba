"""What stands beside a score of whether the network was trained on test classes or images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mamlbench.errors import summarize_names
from mamlbench.record import Evaluation, SeenTestData
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.groups import Group, RowRuns

ABOUT = "whether the network was trained on test classes or images"
OLD = "its record does not say what it was trained on"
ORDER = ("seen", "unknown", "not seen")
"""One test of several decides for all: the first of these that any has."""
NAMED = 5
"""Most rows that a note names."""


def seen_in(test: Evaluation) -> SeenTestData | None:
    """Return the answer of one test; None if its tasks have no classes. Records of earlier releases do not say it."""
    if test.seen is None and test.protocol.ways > 1:
        return SeenTestData(answer="unknown", reasons=[OLD])
    return test.seen


def seen_in_any(tests: Iterable[Evaluation]) -> SeenTestData | None:
    """Return the answer of several tests, such as a row's seeds; None if there is none."""
    answers = [seen for test in tests if (seen := seen_in(test)) is not None]
    if not answers:
        return None
    return SeenTestData(
        answer=min((seen.answer for seen in answers), key=ORDER.index),
        classes=max(seen.classes for seen in answers),
        images=max(seen.images for seen in answers),
        reasons=list(dict.fromkeys(reason for seen in answers for reason in seen.reasons)),
    )


def seen_columns(group: Group) -> list[Column]:
    """Return the column of the answers; none if no row has one."""
    if all(seen_in_any(row.tests) is None for row in group.rows):
        return []
    return [Column("seen", "test data", ABOUT, _cell, numeric=False)]


def _cell(row: RowRuns) -> TableCell:
    seen = seen_in_any(row.tests)
    if seen is None:
        return TableCell()
    data = {"": seen.answer, "classes": seen.classes, "images": seen.images, "reason": "; ".join(seen.reasons)}
    return TableCell(seen.answer, data, bad=seen.answer == "seen")


def seen_doubts(tests: Sequence[Evaluation]) -> list[str]:
    """Return why a score of these tests is no score on new classes; what their splits share is a doubt of its own."""
    return [
        reason
        for test in tests
        if test.seen is not None and test.seen.answer == "seen" and not test.leaks
        for reason in test.seen.reasons
    ]


def explanations(columns: Sequence[Column]) -> list[str]:
    """Explain the column, if there is one."""
    return [f"Test data: {ABOUT}."] if any(column.name == "seen" for column in columns) else []


def notes(group: Group, columns: Sequence[Column]) -> list[str]:
    """Name the reason of every answer but 'not seen'; nothing without the column."""
    if not any(column.name == "seen" for column in columns):
        return []
    rows_by_reason: dict[str, list[str]] = {}
    for row in group.rows:
        seen = seen_in_any(row.tests)
        if seen is not None and seen.answer != "not seen":
            label = row.name or row.algorithm
            rows_by_reason.setdefault(f"{seen.answer}: {'; '.join(seen.reasons)}", []).append(label)
    return [f"Test data of {summarize_names(rows, NAMED)} {reason}." for reason, rows in rows_by_reason.items()]

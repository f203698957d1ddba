"""Published numbers beside a table: a table of their own, with what differs from the runs named cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mamlbench.record import PublishedNumber
from mamlbench.report.formatting import with_half_width
from mamlbench.report.statistics.estimates import estimate
from mamlbench.report.table.columns import Column, TableCell, text_cell
from mamlbench.report.table.groups import Group, RowRuns
from mamlbench.report.table.table import Table, TableRow

UNKNOWN = "not stated"
HEADINGS = ("score", "here", "mode", "queries", "episodes", "steps", "network", "trained on", "tier", "note")
ABOUT = (
    "as printed",
    "the same method in the same mode in the table above",
    "how batch norm treats query examples",
    "query examples per class",
    "test episodes",
    "adaptation steps at test time",
    "the network, in the source's words",
    "what it was trained on",
    "how far this repository's own runs of it have come",
    "the note below that names the source",
)


def with_published_tables(
    tables: Sequence[Table], groups: Sequence[Group], numbers: Iterable[PublishedNumber]
) -> list[Table]:
    """Return the tables, each followed by that of the numbers published for its data set and task, if there are any.

    Args:
        tables: of ``build_tables``.
        groups: of ``group_records``, in the same order.
        numbers: all that are known.
    """
    numbers, result = list(numbers), []
    for table, group in zip(tables, groups, strict=True):
        result.append(table)
        matching = [number for number in numbers if is_of_the_task(number, group)]
        if matching:
            result.append(published_table(matching, group))
    return result


def is_of_the_task(number: PublishedNumber, group: Group) -> bool:
    """Whether a number is of the group's data set, ways, shots and shown metric."""
    conditions = group.conditions
    ways = number.ways if number.ways is not None else 1  # a regression task has no classes
    task = (number.dataset, ways, number.shots, number.metric)
    return task == (conditions.dataset, conditions.ways, conditions.shots, group.metric)


def published_table(numbers: Sequence[PublishedNumber], group: Group) -> Table:
    """Return the table of these numbers; a condition that differs from the group's has the group's beside it."""
    sources = list(dict.fromkeys(map(_source, numbers)))
    rows = [
        TableRow(
            number.algorithm, number.id, [*_cells(number, group), TableCell(str(sources.index(_source(number)) + 1))]
        )
        for number in numbers
    ]
    conditions = group.conditions
    harder = conditions.disturbance
    task = f"{conditions.ways}-way " if conditions.ways > 1 else ""
    not_run = ", not run here" if all(number.tier == "quoted" for number in numbers) else ""
    return Table(
        title=f"Published{not_run}: {conditions.dataset}, {task}{conditions.shots}-shot: {group.metric}",
        conditions=conditions,
        unit=numbers[0].unit,
        columns=[_column(*pair) for pair in zip(HEADINGS, ABOUT, strict=True)],
        rows=rows,
        notes=[
            "≠: differs from the runs above, whose condition stands behind it. Conditions that a source does not state "
            "may differ as well; so may what no column names: seeds, splits, training, ± over episodes or seeds.",
            *([f"≠ The runs above were tested with {harder}; published scores were not."] if harder else []),
            *(f"{index}  {source}" for index, source in enumerate(sources, 1)),
        ],
    )


def _column(title: str, about: str) -> Column:
    return Column(title.replace(" ", "_"), title, about, lambda row: TableCell(), numeric=title in ("score", "here"))


def _cells(number: PublishedNumber, group: Group) -> list[TableCell]:
    conditions = group.conditions
    return [
        _score(number),
        _here(number, group),
        _compared(number.mode, group.modes),
        _compared(number.queries, [conditions.queries]),
        _compared(number.test_episodes, [conditions.test_episodes]),
        _compared(number.steps, _steps(number, group)),
        _network(number, group),
        text_cell(number.trained_on or "training classes"),
        text_cell(number.tier),
    ]


def _score(number: PublishedNumber) -> TableCell:
    scale = 100 if number.unit == "%" else 1
    data = {"": number.score / scale, "half_width": None if number.interval is None else number.interval / scale}
    return TableCell(number.printed, data)


def _rows_of(number: PublishedNumber, group: Group) -> list[RowRuns]:
    return [row for row in group.rows if row.algorithm == number.algorithm and row.seed_runs]


def _here(number: PublishedNumber, group: Group) -> TableCell:
    """The score of the method's first row in the number's mode, in the first mode if the source does not state it."""
    mode = number.mode or (group.modes[0] if group.modes else "")
    for row in _rows_of(number, group):
        value = estimate(row, group.metric, mode, "score")
        if value is not None:
            mean = value.interval.mean
            return TableCell(with_half_width(mean, value.half_width, number.unit == "%"), {"": mean})
    return TableCell()


def _steps(number: PublishedNumber, group: Group) -> list[int]:
    steps = [test.adaptation_steps for row in _rows_of(number, group) for test in row.tests]
    return sorted(set(steps))


def _network(number: PublishedNumber, group: Group) -> TableCell:
    """The network in the source's words, with the name of that of the method's rows here."""
    names = dict.fromkeys(row.runs[0].spec.backbone.name for row in _rows_of(number, group))
    words = number.backbone or UNKNOWN
    return TableCell(f"{words} (here {', '.join(names)})" if names else words, {"": words})


def _compared(published: object, here: Sequence[object]) -> TableCell:
    """A condition; with ≠ and what holds here if that is known and another."""
    if published is None:
        return TableCell(UNKNOWN)
    if not here or published in here:
        return TableCell(f"{published}", {"": published})
    return TableCell(f"{published} ≠ {', '.join(map(str, here))}", {"": published, "here": ", ".join(map(str, here))})


def _source(number: PublishedNumber) -> str:
    second_hand = " (second hand)" if number.second_hand else ""
    return f"{number.source}{second_hand}{f'; {number.note}' if number.note else ''}"

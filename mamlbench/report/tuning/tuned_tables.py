"""Test scores with default options and with tuned ones, beside each other, for each method that has both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mamlbench.errors import NothingToDoError
from mamlbench.record import RunRecord
from mamlbench.report.formatting import with_half_width
from mamlbench.report.statistics.episode_scores import episode_scores
from mamlbench.report.statistics.estimates import estimate
from mamlbench.report.statistics.significance_tests import compare
from mamlbench.report.table import notes
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.groups import Group, RowRuns, group_records, training_key
from mamlbench.report.table.table import Table, TableRow
from mamlbench.report.table.tuning_budgets import budget_of

DEFAULT_PRESETS = frozenset({"quick", "default"})
"""What a study begins with: a method's own preset, and that of trial 0 in the file that tuning writes."""


@dataclass(frozen=True)
class TunedMethod:
    """The rows of one method that differ in its options alone: default ones, and tuned ones by number of trials."""

    name: str
    default: RowRuns
    tuned: dict[int, RowRuns]


def tuned_tables(records: Iterable[RunRecord], metric: str | None = None) -> list[Table]:
    """Build a table for each group of comparable records that has a method in both columns.

    Args:
        records: finished or not.
        metric: the metric to show; the first of each group if None.

    Raises NothingToDoError if no method has been tested with default and with tuned options.
    """
    tables = [table for group in group_records(records, metric) if (table := _table(group)) is not None]
    if not tables:
        raise NothingToDoError(
            "No method was tested with default and with tuned options, all else equal. 'mamlbench tune' writes a "
            "preset file: run it with --preset FILE and with --preset FILE:default."
        )
    return tables


def _table(group: Group) -> Table | None:
    methods, left_out = tuned_methods(group.rows)
    if not methods or group.reference is None:
        return None
    budgets = sorted({trials for method in methods for trials in method.tuned})
    largest = budgets[-1]
    columns = [_column("default", "default")]
    for trials in budgets:
        columns += [_column(f"tuned_{trials}", f"tuned ({trials} trials)"), _column(f"change_{trials}", "change")]
    columns += [_column("rank_default", "rank before"), _column("rank_tuned", f"after ({largest})")]
    columns.append(_column("seeds", "seeds"))
    ranks = [_ranks(group, [method.default for method in methods])]
    ranks.append(_ranks(group, [method.tuned.get(largest) for method in methods]))
    order = sorted(range(len(methods)), key=lambda index: (ranks[1][index] or len(methods) + 1, methods[index].name))
    rows = [_row(group, methods[index], budgets, [column[index] for column in ranks]) for index in order]
    return Table(
        title=f"Default and tuned options: {notes.title(group)}, {group.modes[0]}",
        conditions=group.conditions,
        unit=group.reference.unit,
        columns=columns,
        rows=rows,
        notes=_notes(group, methods, left_out),
    )


def tuned_methods(rows: Sequence[RowRuns]) -> tuple[list[TunedMethod], list[str]]:
    """Pair the tested rows of each method that differ in its options alone.

    Returns the methods that have both, and the names of those that have tuned rows without a default one. Of several
    rows with the same number of trials the one that was run last counts.
    """
    by_key: dict[str, list[RowRuns]] = defaultdict(list)
    for row in rows:
        if row.tests:
            by_key[_key(row)].append(row)
    methods, left_out = [], []
    for same in by_key.values():
        defaults = sorted((row for row in same if _is_default(row)), key=lambda row: budget_of(row) or 0)
        tuned = {budget_of(row) or 0: row for row in same if not _is_default(row)}
        if tuned and defaults:
            methods.append(TunedMethod(same[0].algorithm, defaults[-1], tuned))
        elif tuned:
            left_out.append(same[0].algorithm)
    return methods, list(dict.fromkeys(left_out))


def _is_default(row: RowRuns) -> bool:
    """Whether the options are those that a study begins with; they may have been chosen from trials themselves."""
    return budget_of(row) in (None, 1) or row.runs[0].spec.preset in DEFAULT_PRESETS


def _key(row: RowRuns) -> str:
    """All that two rows must share: everything but the method's options and where they come from."""
    spec = row.runs[0].spec
    algorithm = spec.algorithm.model_copy(update={"options": {}})
    return training_key(spec.model_copy(update={"algorithm": algorithm, "preset": "", "tuning_trials": None}))


def _row(group: Group, method: TunedMethod, budgets: Sequence[int], ranks: Sequence[int | None]) -> TableRow:
    cells = [_score(group, method.default)]
    for trials in budgets:
        row = method.tuned.get(trials)
        cells += [_score(group, row), _change(group, method.default, row)]
    cells += [TableCell("" if rank is None else str(rank), {"": rank}) for rank in ranks]
    seeds = [len(row.seed_runs) for row in (method.default, *method.tuned.values())]
    text = str(seeds[0]) if len(set(seeds)) == 1 else f"{min(seeds)} to {max(seeds)}"
    return TableRow(method.name, "", [*cells, TableCell(text, {"": min(seeds)})])


def _score(group: Group, row: RowRuns | None) -> TableCell:
    value = None if row is None else estimate(row, group.metric, group.modes[0], "score")
    if value is None:
        return TableCell()
    interval = value.interval
    text = with_half_width(interval.mean, value.half_width, _percent(group), new_classes=value.half_width_new_classes)
    data = {"": interval.mean, "low": interval.low, "high": interval.high, "interval_over": value.over}
    return TableCell(text, data)


def _change(group: Group, default: RowRuns, tuned: RowRuns | None) -> TableCell:
    """The paired difference of tuned and default, positive if tuning helped."""
    before = episode_scores(default, group.metric, group.modes[0])
    after = None if tuned is None else episode_scores(tuned, group.metric, group.modes[0])
    if before is None or after is None or before.shape[-1] != after.shape[-1]:
        return TableCell()
    sign = 1.0 if _higher_is_better(group) else -1.0
    comparison = compare(sign * after, sign * before)
    low, high = (float(end) for end in comparison.confidence_interval())
    difference = float(comparison.difference)
    text = with_half_width(difference, (high - low) / 2, _percent(group), signed=True)
    return TableCell(text, {"": difference, "low": low, "high": high, "claim": comparison.claim})


def _ranks(group: Group, rows: Sequence[RowRuns | None]) -> list[int | None]:
    """The rank of each row by its mean score, 1 the best; None for a row that has none."""
    sign = -1.0 if _higher_is_better(group) else 1.0
    values = [None if row is None else estimate(row, group.metric, group.modes[0], "score") for row in rows]
    scores = [None if value is None else sign * value.interval.mean for value in values]
    return [
        None if score is None else 1 + sum(other < score for other in scores if other is not None) for score in scores
    ]


def _notes(group: Group, methods: Sequence[TunedMethod], left_out: Sequence[str]) -> list[str]:
    few = any(len(row.seed_runs) < 3 for method in methods for row in (method.default, *method.tuned.values()))
    over = "test episodes, for these checkpoints" if few else "training seeds (scores) or both (changes)"
    remarks = [
        f"±: 95 % confidence interval over {over}; in parentheses: half-width for new classes. Change: tuned minus "
        "default, paired by test episode, positive if tuning helped.",
        "Tuned: the best of so many trials on validation classes; test classes were not used. All else is equal within "
        "a row; between rows, training may differ.",
        *_machines(methods),
    ]
    if left_out:
        remarks.append(f"Left out, because they were not tested with default options: {', '.join(left_out)}.")
    return remarks + ([] if _higher_is_better(group) else ["Lower is better."])


def _machines(methods: Sequence[TunedMethod]) -> list[str]:
    """Say so if the two sides of a method were computed by other code or in another environment."""
    names = [
        method.name
        for method in methods
        for row in method.tuned.values()
        if row.seed_runs[-1].environment.fingerprint != method.default.seed_runs[-1].environment.fingerprint
    ]
    return [f"Computed in different environments: {', '.join(dict.fromkeys(names))}."] if names else []


def _higher_is_better(group: Group) -> bool:
    return group.reference is None or group.reference.higher_is_better


def _percent(group: Group) -> bool:
    return group.reference is not None and group.reference.unit == "%"


def _column(name: str, title: str) -> Column:
    return Column(name, title, title, lambda row: TableCell())

"""Cells (one data set under one protocol in one mode), methods, and the scores of each method's runs on each cell."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mamlbench.record import MetricResult, in_order
from mamlbench.report.figures.view import is_drawable
from mamlbench.report.formatting import printable
from mamlbench.report.table.doubts import SIGN
from mamlbench.report.table.groups import Group, RowRuns, ScoreConditions, is_complete, settings_of
from mamlbench.report.table.seen_test_data import seen_doubts, seen_in_any
from mamlbench.report.table.tuning_budgets import unequal_budgets

PRESET = "preset"


class MethodKey(NamedTuple):
    """An algorithm with the settings that distinguish it from its other rows on some cell."""

    algorithm: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def settings_text(self) -> str:
        """The settings as text: ``inner_lr=0.1, width=32``."""
        return ", ".join(f"{name}={value}" for name, value in self.settings)

    def __str__(self) -> str:
        return f"{self.algorithm} ({self.settings_text})" if self.settings else self.algorithm


@dataclass(frozen=True)
class BenchmarkCell:
    """One data set under one protocol in one mode, where methods have comparable scores."""

    title: str
    conditions: ScoreConditions
    mode: str
    metric: str
    unit: str
    higher_is_better: bool

    @property
    def scale(self) -> tuple[str, str, bool]:
        """What must be equal before scores of two cells may be averaged."""
        return self.metric, self.unit, self.higher_is_better


@dataclass
class CellScores:
    """The scores of every method on one cell."""

    cell: BenchmarkCell
    by_method: dict[MethodKey, dict[int, float]]
    """One score per training seed, in the metric's own unit."""
    notes: list[str] = field(default_factory=list)
    """What a reader has to know about runs that count, and runs that do not."""
    test_data: dict[MethodKey, str] = field(default_factory=dict)
    """Whether a method's networks were trained on test classes or images: 'seen', 'not seen' or 'unknown'."""
    problems: list[str] = field(default_factory=list)
    """Why a method that was tested has no score."""


def cells_of(groups: Sequence[Group], modes: Sequence[str] = ()) -> list[CellScores]:
    """Collect the scores of every cell.

    Args:
        groups: of comparable records.
        modes: each one makes a cell of its own; none: the first mode of each group, which selects checkpoints.
    """
    names = _distinguishing_settings(groups)
    tested = [(group, group.reference) for group in groups]
    pairs = [
        (group, reference, mode)
        for group, reference in tested
        if reference is not None
        for mode in (group.modes[:1] if not modes else [mode for mode in group.modes if mode in modes])
    ]
    titles = _unique_titles([(group, mode) for group, _, mode in pairs])
    return [
        _cell_scores(group, reference, mode, title, names)
        for (group, reference, mode), title in zip(pairs, titles, strict=True)
    ]


def _distinguishing_settings(groups: Iterable[Group]) -> dict[str, set[str]]:
    """Return for each algorithm the settings in which its rows differ within some group.

    Settings that differ between groups alone, as presets' settings do between data sets, make no method of their own;
    neither does the environment.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for group in groups:
        presets: dict[str, set[str]] = defaultdict(set)
        for row in group.rows:
            settings = settings_of(row.runs[0], include_environment=False)
            names[row.algorithm] |= row.label.keys() & settings.keys()
            presets[row.algorithm].add(row.runs[0].spec.preset)
        for algorithm, several in presets.items():
            if len(several) > 1:
                names[algorithm].add(PRESET)
    return names


def _method_of(row: RowRuns, names: Iterable[str]) -> MethodKey:
    settings: dict[str, Any] = settings_of(row.runs[0], include_environment=False)
    settings |= {PRESET: row.runs[0].spec.preset}
    return MethodKey(row.algorithm, tuple((name, str(settings[name])) for name in sorted(names) if name in settings))


def _cell_scores(
    group: Group, reference: MetricResult, mode: str, title: str, names: dict[str, set[str]]
) -> CellScores:
    cell = BenchmarkCell(
        title, group.conditions, mode, group.metric, reference.unit, higher_is_better=reference.higher_is_better
    )
    scores = CellScores(cell, {})
    rows: dict[MethodKey, list[RowRuns]] = defaultdict(list)
    for row in group.rows:
        rows[_method_of(row, names[row.algorithm])].append(row)
    for method, of_method in rows.items():
        by_seed = _scores_by_seed(of_method, group.metric, mode)
        if not all(map(is_drawable, by_seed.values())):
            scores.problems.append(
                f"{method} has a score on {title} that is not a number, or no possible one: it counts as not tested "
                "there."
            )
            continue
        if by_seed:
            scores.by_method[method] = by_seed
            seen = seen_in_any(test for row in of_method for test in row.tests)
            scores.test_data |= {method: seen.answer} if seen else {}
            scores.notes += _row_notes(method, of_method, title, by_seed)
    unequal = unequal_budgets(row.runs[0].spec for row in group.rows if row.tests)
    scores.notes += [f"{title}: {unequal}"] if unequal else []
    return scores


def _scores_by_seed(rows: Iterable[RowRuns], metric: str, mode: str) -> dict[int, float]:
    """Return the score of each seed's last finished run, of whichever environment."""
    runs = in_order(run for row in rows for run in row.runs if is_complete(run))
    results = {run.spec.seed: run.test.metrics.get(metric) for run in runs if run.test is not None}
    return {
        seed: result.modes[mode].score.mean
        for seed, result in sorted(results.items())
        if result is not None and mode in result.modes
    }


def _row_notes(method: MethodKey, rows: Sequence[RowRuns], title: str, by_seed: dict[int, float]) -> Iterator[str]:
    """Say if runs of different environments are combined, if seeds never finished, and if splits share something."""
    tests = [test for row in rows for test in row.tests]
    for doubt in dict.fromkeys([*(leak for test in tests for leak in test.leaks), *seen_doubts(tests)]):
        yield f"{SIGN} {method} on {title}: {doubt}."
    environment = {name for row in rows for name in row.label} - {name for name, _ in method.settings}
    if len(rows) > 1:
        differing = ", ".join(sorted(environment)) or "environment"
        yield f"{method} on {title}: runs that differ in {differing} are combined."
    unfinished = {run.spec.seed for row in rows for run in row.unfinished} - by_seed.keys()
    if unfinished:
        seeds = ", ".join(map(str, sorted(unfinished)))
        yield (
            f"{method} on {title}: seed {seeds} did not finish. Only finished runs count, which flatters a method that "
            "fails at times."
        )


def _unique_titles(cells: Sequence[tuple[Group, str]]) -> list[str]:
    """Return a title per cell: data set, ways, shots, and whatever else distinguishes it from the other cells."""
    titles = [_short_title(group.conditions) for group, _ in cells]
    by_title: dict[str, list[int]] = defaultdict(list)
    for index, title in enumerate(titles):
        by_title[title].append(index)
    for indices in by_title.values():
        if len({cells[index][1] for index in indices}) > 1:
            for index in indices:
                titles[index] += f", {cells[index][1]}"
    counts = Counter(titles)
    for title in [title for title, count in counts.items() if count > 1]:
        same = [index for index, other in enumerate(titles) if other == title]
        for index, words in zip(same, _differing_words([cells[index][0].conditions for index in same]), strict=True):
            titles[index] += words
    return [printable(title) for title in titles]


def _short_title(conditions: ScoreConditions) -> str:
    ways = f" {conditions.ways}-way" if conditions.ways > 1 else ""
    disturbance = f", {conditions.disturbance}" if conditions.disturbance else ""
    return f"{conditions.dataset}{ways} {conditions.shots}-shot{disturbance}"


def _differing_words(conditions: Sequence[ScoreConditions]) -> list[str]:
    """Return the conditions in which cells of one title differ; a hash means nothing to a reader, so it is numbered."""
    fields = [entry._asdict() for entry in conditions]
    words = ["" for _ in fields]
    for name in ScoreConditions._fields:
        values = list(dict.fromkeys(field[name] for field in fields))
        if len(values) > 1:
            is_hash = name in ("data", "test_split")
            for index, field_values in enumerate(fields):
                value = f"#{values.index(field_values[name]) + 1}" if is_hash else field_values[name]
                words[index] += f", {name.replace('_', ' ')} {value}"
    return words

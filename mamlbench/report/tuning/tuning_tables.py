"""Tables of studies: the expected best of n trials, and the options that were chosen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from mamlbench.report.formatting import number, percent_or_number
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.table import Table, TableRow
from mamlbench.report.tuning.study_result import StudyResult, ranked

SHOWN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Numbers of trials that have a column, and the budget."""


class TuningConditions(NamedTuple):
    """What holds for every study of a table."""

    dataset: str
    ways: int
    shots: int
    queries: int
    validation_episodes: int
    episode_seed: int
    training_seed: int
    mode: str
    metric: str
    budget: int


def tuning_tables(results: Sequence[StudyResult]) -> list[Table]:
    """Build both tables of studies that have the same data set, protocol and budget, and one trial or more each."""
    return [_curve_table(ranked(results)), _options_table(ranked(results))]


def conditions_of_studies(results: Sequence[StudyResult]) -> TuningConditions:
    """What all studies have in common."""
    spec, first = results[0].header.spec, results[0].default
    protocol = spec.protocol
    budget = max(len(result.trials) for result in results)
    counts = (protocol.ways, protocol.shots, protocol.queries, protocol.validation_episodes, protocol.episode_seed)
    return TuningConditions(spec.dataset.name, *counts, spec.seed, protocol.modes[0], first.metric, budget)


def study_title(results: Sequence[StudyResult]) -> str:
    """Data set, protocol and metric in one line."""
    conditions, unit = conditions_of_studies(results), results[0].default.unit
    ways = f"{conditions.ways}-way " if conditions.ways > 1 else ""
    metric = f"{conditions.metric}, {unit}" if unit else conditions.metric
    return f"{conditions.dataset}, {ways}{conditions.shots}-shot: validation {metric}, {conditions.mode}"


def _curve_table(results: Sequence[StudyResult]) -> Table:
    conditions = conditions_of_studies(results)
    counts = [n for n in SHOWN if n < conditions.budget] + [conditions.budget]
    columns = [
        _column("default" if n == 1 else f"best_of_{n}", "default" if n == 1 else f"best of {n}") for n in counts
    ]
    columns += [_column("trial", "chosen trial"), _column("failed", "failed"), _column("device_seconds", "device s")]
    rows = [
        TableRow(result.name, "", [*(_best_of(result, n) for n in counts), *_facts(result)], failed=not result.curve)
        for result in results
    ]
    return Table(
        title=f"Tuning, {study_title(results)}",
        conditions=conditions,
        unit=results[0].default.unit,
        columns=columns,
        rows=rows,
        notes=_notes(results),
    )


def _best_of(result: StudyResult, n: int) -> TableCell:
    if result.curve is None or n > len(result.curve.mean):
        return TableCell()
    percent = result.default.unit == "%"
    mean, deviation = float(result.curve.mean[n - 1]), float(result.curve.deviation[n - 1])
    spread = f" ({percent_or_number(deviation, percent)})" if deviation > 0 else ""
    return TableCell(percent_or_number(mean, percent) + spread, {"": mean, "deviation": deviation})


def _facts(result: StudyResult) -> list[TableCell]:
    chosen, failed = result.chosen.trial, result.failed
    return [
        TableCell(str(chosen), {"": chosen}),
        TableCell(str(failed) if failed else "", {"": failed}, bad=failed > 0),
        TableCell(number(round(result.seconds)), {"": result.seconds}),
    ]


def _notes(results: Sequence[StudyResult]) -> list[str]:
    conditions = conditions_of_studies(results)
    numbers = sorted({len(result.trials) for result in results})
    budget = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} (not equal yet)"
    notes = [
        f"Trials of each method: {budget}. Trial 0, the default, has the options of the preset; the others are drawn "
        "at random. No test class was used.",
        "Best of n: expected best score of the default and n - 1 drawn trials (in parentheses its standard deviation); "
        "unbiased but for the last column: the same validation episodes chose the trial and score it.",
        f"Each score: the best validation of a run, {conditions.validation_episodes:,} episodes (seed "
        f"{conditions.episode_seed}), training seed {conditions.training_seed}. A failed trial counts as the worst.",
    ]
    if not results[0].default.higher_is_better:
        notes.append("Lower is better.")
    return [*notes, *filter(None, map(_failures, results)), *_mixed_software(results)]


def _failures(result: StudyResult) -> str:
    """Say how many trials have no score, and why the first of them has none; empty if all have one."""
    first = next((trial for trial in result.trials if trial.score is None), None)
    if first is None:
        return ""
    reason = " ".join(first.reason.splitlines()).rstrip(".")
    count = f"{result.failed} of {len(result.trials)} trials failed"
    return f"{result.name}: {count}; trial {first.trial} {first.status}: {reason}."


def _mixed_software(results: Sequence[StudyResult]) -> list[str]:
    """Say so if trials were computed by different code, software or machines."""
    named = [trial.environment for result in results for trial in result.trials if trial.environment]
    kinds = {environment.fingerprint for environment in named}
    if len(kinds) < 2:
        return []
    changes = dict.fromkeys(change for other in named[1:] for change in other.changes_since(named[0]))
    return [f"Trials were computed in {len(kinds)} environments: {', '.join(changes)}."]


def _options_table(results: Sequence[StudyResult]) -> Table:
    columns = [
        _text_column("space", "search space"),
        _text_column("default", "default"),
        _text_column("chosen", "chosen"),
    ]
    rows = [TableRow(result.name, "", [_text(describe_space(result)), *_options_of(result)]) for result in results]
    return Table(
        title=f"Options that tuning chose, {study_title(results)}",
        conditions=conditions_of_studies(results),
        unit="",
        columns=columns,
        rows=rows,
        notes=["Options without a search space are the preset's."],
    )


def _options_of(result: StudyResult) -> list[TableCell]:
    return [_text(options_text(trial.options)) for trial in (result.default, result.chosen)]


def options_text(options: dict[str, Any]) -> str:
    """Format options as ``outer_lr=0.003, test_steps=3``."""
    return ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in options.items()
    )


def describe_space(result: StudyResult) -> str:
    """Format a search space as ``outer_lr 0.0003 to 0.03 (log)``."""
    return ", ".join(f"{name} {_range_text(facts)}" for name, facts in result.header.space.items())


def _range_text(facts: dict[str, Any]) -> str:
    if "values" in facts:
        return " or ".join(map(str, facts["values"]))
    is_log = facts["kind"] == "LogUniform" or facts.get("log")
    return f"{facts['low']:g} to {facts['high']:g}{' (log)' if is_log else ''}"


def _text(text: str) -> TableCell:
    return TableCell(text, {"": text})


def _column(name: str, title: str) -> Column:
    return Column(name, title, title, lambda row: TableCell())


def _text_column(name: str, title: str) -> Column:
    return Column(name, title, title, lambda row: TableCell(), numeric=False)

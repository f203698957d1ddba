"""How many trials the options of rows were chosen from: scores of unequal numbers compare tuning, too."""

from __future__ import annotations

from collections.abc import Iterable

from mamlbench.report.table.groups import RowRuns
from mamlbench.run_spec import RunSpec


def budget_of(row: RowRuns) -> int | None:
    """Number of trials that the row's options were chosen from; None if it is not known."""
    return row.runs[0].spec.tuning_trials


def trials_text(trials: int | None) -> str:
    """Format a number of trials: ``20 trials``, ``the default options``, ``not known``."""
    if trials is None:
        return "not known"
    return "the default options" if trials == 1 else f"{trials:,} trials"


def unequal_budgets(specs: Iterable[RunSpec]) -> str:
    """Say that methods were tuned with unequal numbers of trials; empty if they were not, or nothing is known."""
    by_budget: dict[int | None, list[str]] = {}
    for spec in specs:
        by_budget.setdefault(spec.tuning_trials, []).append(spec.algorithm.name)
    if len(by_budget) < 2:
        return ""
    parts = [
        f"{trials_text(trials)} ({', '.join(dict.fromkeys(names))})"
        for trials, names in sorted(by_budget.items(), key=lambda item: -(item[0] or 0))
    ]
    return f"Options were tuned unequally, so that differences may come from tuning: {'; '.join(parts)}."

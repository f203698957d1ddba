"""The words around a table: what was measured, on what, and what a reader must know before comparing."""

from __future__ import annotations

from collections.abc import Sequence, Set

from mamlbench.report.table import row_settings
from mamlbench.report.table.groups import Group, Row, runs_at_once

_INTERVALS = {
    frozenset(["seeds"]): "± is a 95 % interval over training seeds (Student's t).",
    frozenset(["episodes"]): "± is a 95 % interval over test episodes, of these checkpoints.",
    frozenset(["seeds", "episodes"]): (
        "± is a 95 % interval: over training seeds (Student's t) where there are three or more that differ, else over "
        "test episodes, of these checkpoints."
    ),
}


def title(group: Group) -> str:
    """Data set and protocol in one line."""
    conditions = group.conditions
    ways = f"{conditions.ways}-way " if conditions.ways > 1 else ""
    queries = "query" if conditions.queries == 1 else "queries"
    metric = f"{conditions.metric}" if conditions.metric else "no scores"
    unit = f", {group.reference.unit}" if group.reference is not None and group.reference.unit else ""
    return (
        f"{conditions.dataset}, {ways}{conditions.shots}-shot: {metric}{unit} "
        f"({conditions.queries} {queries} per class, {conditions.test_episodes:,} test episodes)"
    )


def about(group: Group, elsewhere: Sequence[Row], intervals_over: Set[str]) -> list[str]:
    """What ± means ('seeds', 'episodes'), the direction of the metric, the machine, quick presets and subsets."""
    said = [_INTERVALS[frozenset(intervals_over)]] if intervals_over else []
    if group.modes:
        said.append(_baseline(group))
    machine = next((row for row in group.rows if row.measurements and row not in elsewhere), None)
    if machine is not None:
        said.append(f"Measured on {_machine(machine)}{_shared(machine)}.")
    presets = {row_settings.first(row).spec.preset for row in group.rows}
    if "quick" in presets:
        said.append("'quick' is a preset for a laptop's few minutes, not a paper's setting.")
    subsets = dict.fromkeys(filter(None, (row_settings.subsets(row) for row in group.rows)))
    return [*said, *(f"The data set was incomplete: {subset}." for subset in subsets)]


def _baseline(group: Group) -> str:
    mode = group.modes[0]
    lower = "" if group.reference is None or group.reference.higher_is_better else "Lower is better. "
    return (
        f"{lower}Untrained: the network before training, given the same adaptation on the same episodes "
        f"({mode}); gain: the paired improvement on it."
    )


def _machine(row: Row) -> str:
    run = row_settings.first(row)
    threads = run.environment.threads
    words = [row_settings.device(row), f"{threads} thread{'s' if threads != 1 else ''}" if threads else ""]
    torch = run.environment.packages.get("torch")
    return ", ".join(filter(None, [*words, f"torch {torch}" if torch else ""]))


def _shared(row: Row) -> str:
    """What is to be known of times that were not measured on a machine of the run's own."""
    runs = runs_at_once(row_settings.first(row))
    return f", up to {runs} runs at a time: alone they would take less time" if runs > 1 else ""


def not_comparable(group: Group, earlier: Sequence[Group]) -> list[str]:
    """Why this table does not stand together with an earlier one of the same data set, ways and shots."""
    ours = group.conditions
    said = []
    for other in earlier:
        theirs = other.conditions
        if (theirs.dataset, theirs.ways, theirs.shots) == (ours.dataset, ours.ways, ours.shots):
            what = ", ".join(theirs.differences(ours))
            said.append(f"Not comparable with the table '{title(other)}': {what}.")
    return said


def failures(group: Group) -> list[str]:
    """A sentence for each run that did not finish."""
    return [
        f"{row.algorithm}{f' ({row.described})' if row.described else ''}, seed {run.spec.seed}: {run.status}"
        + (f": {run.reason.rstrip('.')}." if run.reason else ".")
        for row in group.rows
        for run in row.unfinished
    ]

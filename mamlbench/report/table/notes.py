"""The title of a table and the notes below it: what was measured, where, and what limits a comparison."""

from __future__ import annotations

from collections.abc import Sequence, Set

from mamlbench.record import RunRecord
from mamlbench.report.formatting import number
from mamlbench.report.table import row_settings
from mamlbench.report.table.columns import Column
from mamlbench.report.table.groups import Group, RowRuns, runs_at_once
from mamlbench.report.table.tuning_budgets import unequal_budgets
from mamlbench.run_spec import range_text

_INTERVALS = {
    frozenset(["seeds"]): "over training seeds (Student's t).",
    frozenset(["episodes"]): "over test episodes, for these checkpoints.",
    frozenset(["seeds", "episodes"]): (
        "over training seeds (Student's t) if there are three or more that differ, otherwise over test episodes, for "
        "these checkpoints."
    ),
}
_NEW_CLASSES = (
    "In parentheses: half-width for new classes. Classes and episodes are both random; so are training seeds, if there "
    "are three or more."
)
_NO_NEW_CLASSES = "A score without parentheses has no interval for new classes: its record does not name the classes."


def title(group: Group) -> str:
    """Return data set and protocol in one line."""
    conditions = group.conditions
    ways = f"{range_text(conditions.least_ways, conditions.ways)}-way " if conditions.ways > 1 else ""
    shots = range_text(conditions.least_shots, conditions.shots)
    queries = "query" if conditions.queries == 1 else "queries"
    metric = group.metric or "no scores"
    unit = f", {group.reference.unit}" if group.reference is not None and group.reference.unit else ""
    selection = f", selected by {conditions.metric}" if conditions.metric != group.metric else ""
    return (
        f"{group.dataset}, {ways}{shots}-shot: {metric}{unit}{selection} "
        f"({conditions.queries} {queries} per class, {_episodes(group)})"
    )


def _episodes(group: Group) -> str:
    """Return how many test episodes there were, and how they were drawn."""
    conditions = group.conditions
    sampling = "" if conditions.test_sampling == "independent" else f", {conditions.test_sampling.replace('-', ' ')}"
    sampling += f", {conditions.disturbance}" if conditions.disturbance else ""
    if conditions.test_until is None:
        return f"{conditions.test_episodes:,} test episodes{sampling}"
    percent = group.reference is not None and group.reference.unit == "%"
    width = f"{100 * conditions.test_until:g} points" if percent else f"{conditions.test_until:g}"
    return f"test episodes until ± {width}, at most {conditions.test_episodes:,}{sampling}"


def explanations(
    group: Group, other_machine: Sequence[RowRuns], intervals_over: Set[str], new_classes: Set[bool]
) -> list[str]:
    """Explain ± ('seeds', 'episodes'), the direction of the metric, the machine and quick presets.

    ``new_classes`` says whether scores have an interval for new classes as well: all, none, or some.
    """
    population = " for these test classes" if group.conditions.ways > 1 else ""
    start = f"±: 95 % confidence interval{population}"
    notes = [f"{start}, {_INTERVALS[frozenset(intervals_over)]}"] if intervals_over else []
    notes += [_NEW_CLASSES] if True in new_classes else []
    notes += [_baseline(group)] if group.modes else []
    notes += _image_use(group)
    measured = next((row for row in group.rows if row.measurements and row not in other_machine), None)
    if measured is not None:
        notes.append(f"Measured on {_machine(measured)}.")
    notes += _features(group)
    presets = {row_settings.representative_run(row).spec.preset for row in group.rows}
    if "quick" in presets:
        notes.append("The 'quick' preset runs a few minutes on a laptop. It is not a paper's setting.")
    if "smoke" in presets:
        notes.append("The 'smoke' preset shows that everything works: a tenth of the quick one's training.")
    return notes


def limits(group: Group, other_machine: Sequence[RowRuns], new_classes: Set[bool]) -> list[str]:
    """Say what limits a comparison of these rows: missing intervals, pieces, unequal tuning, incomplete data."""
    notes = [_NO_NEW_CLASSES] if new_classes == {True, False} else []
    notes += [*_concurrent_runs(group, other_machine), *_pieces(group)]
    notes += filter(None, [unequal_budgets(row.runs[0].spec for row in group.rows)])
    subsets = dict.fromkeys(filter(None, (row_settings.subsets(row) for row in group.rows)))
    notes += [f"The data set was incomplete: {subset}." for subset in subsets]
    of_data = dict.fromkeys(note for row in group.rows for run in row.runs if run.data for note in run.data.notes)
    return [*notes, *(f"Data: {note}." for note in of_data)]


def _baseline(group: Group) -> str:
    direction = "" if group.reference is None or group.reference.higher_is_better else "Lower is better. "
    if all(result.untrained is None for row in group.rows for result in row.mode_results(group.metric, group.modes[0])):
        return f"{direction}Nothing was trained here: there is no untrained network to compare with."
    return (
        f"{direction}Untrained: the network before training, with the same adaptation on the same episodes "
        f"({group.modes[0]}). Gain: the paired improvement over it."
    )


def _image_use(group: Group) -> list[str]:
    """Say how often test images were used, and with ``test_until`` how many episodes there were."""
    tests = [test for row in group.rows for test in row.tests]
    notes = []
    if group.conditions.test_until is not None:
        numbers = [len(result.episode_scores) for test in tests for result in test.modes.values()]
        notes += [f"Test episodes: {min(numbers):,} to {max(numbers):,}."] if numbers else []
    uses = [test.image_use for test in tests if test.image_use is not None]
    if uses:
        average = max(use.average for use in uses)
        most = max(use.most for use in uses)
        notes.append(f"A test image was used {number(average)} times on average, at most {most:,} times.")
    return notes


def directions(group: Group, columns: Sequence[Column]) -> list[str]:
    """Say of which metrics beside the one of the title lower values are better."""
    others = [column.metric for column in columns if column.metric not in ("", group.metric) and column.lower_is_better]
    return [f"Lower is better: {', '.join(dict.fromkeys(others))}."] if others else []


def _machine(row: RowRuns) -> str:
    run = row_settings.representative_run(row)
    threads = run.environment.threads
    parts = [row_settings.device(row), f"{threads} thread{'s' if threads != 1 else ''}" if threads else ""]
    torch = run.environment.packages.get("torch")
    precision = "" if run.spec.precision == "float32" else f"in {run.spec.precision}"
    return ", ".join(filter(None, [*parts, f"torch {torch}" if torch else "", precision]))


def _concurrent_runs(group: Group, other_machine: Sequence[RowRuns]) -> list[str]:
    """Warn if runs shared the machine with others."""
    rows = [row for row in group.rows if row.measurements and row not in other_machine]
    runs = max((runs_at_once(row_settings.representative_run(row)) for row in rows), default=1)
    return [f"Measured with up to {runs} runs at a time; a run alone would take less time."] if runs > 1 else []


def _features(group: Group) -> list[str]:
    """Say what frozen encoders took, which is a part of a row's time only if the row computed the features itself."""
    passes = {
        (row.runs[0].spec.backbone.name, run.features.cached): run.features
        for row in group.rows
        for run in row.measurements
        if run.features is not None
    }
    counted = {False: "counted in the time of the run that made it", True: "made by an earlier run: in no row's time"}
    return [
        f"Features of '{name}': one pass over {one.images:,} images, {number(one.device)} s, {counted[cached]}."
        for (name, cached), one in passes.items()
    ]


def _pieces(group: Group) -> list[str]:
    """Mark times that are the sum of several processes'."""
    pieces = [run.measurement.pieces for row in group.rows for run in row.runs if run.measurement is not None]
    several = [count for count in pieces if count > 1]
    if not several:
        return []
    runs = f"{len(several)} of {len(pieces)} runs" if len(pieces) > 1 else "The run"
    return [f"{runs} continued after an interrupt: times are the sum of up to {max(several)} pieces."]


def not_comparable(group: Group, earlier: Sequence[Group]) -> list[str]:
    """Explain why this table is separate from an earlier one of the same data set, ways and shots."""
    conditions = group.conditions
    notes = []
    for other in earlier:
        before = other.conditions
        if not (before.metric and conditions.metric):  # no run of one of them has a score
            continue
        if (before.dataset, before.ways, before.shots) == (conditions.dataset, conditions.ways, conditions.shots):
            differences = ", ".join(before.differences(conditions))
            notes.append(f"Not comparable with the table '{title(other)}': {differences}.")
    return notes


def skipped(group: Group) -> list[str]:
    """Return one sentence for each run that left out updates or validations, because they were not finite."""
    return [
        f"{_run(row, run)}: {len(run.skipped.updates):,} of {run.spec.training.iterations:,} updates and "
        f"{len(run.skipped.validations):,} validations were not finite and were skipped."
        for row in group.rows
        for run in row.runs
        if run.skipped is not None
    ]


def _run(row: RowRuns, run: RunRecord) -> str:
    return f"{row.name or row.algorithm}, seed {run.spec.seed}"


def failures(group: Group) -> list[str]:
    """Return one sentence for each run that did not finish."""
    return [
        f"{_run(row, run)}: {run.status}" + (f": {run.reason.rstrip('.')}." if run.reason else ".")
        for row in group.rows
        for run in row.unfinished
    ]

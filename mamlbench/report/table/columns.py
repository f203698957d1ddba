"""The columns of a comparison table: what each shows as text and as numbers for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.report.formatting import number, percent_or_number, with_half_width
from mamlbench.report.statistics.episode_scores import shared_scores
from mamlbench.report.statistics.estimates import Estimate, estimate, mean_if_any
from mamlbench.report.statistics.multiple_comparisons import BestComparison, compare_with_best
from mamlbench.report.table import row_settings
from mamlbench.report.table.groups import Group, RowRuns
from mamlbench.run_spec import MODES

NO_COLUMNS: Mapping[str, Column] = {}
DEFAULT = ("preset", "score", "untrained", "gain", "device_seconds", "milliseconds", "memory", "seeds")
"""Columns shown by default. 'score' stands for one column per mode."""

COLUMN_SETS = ("score", "default", "all")
"""Names that stand for several columns."""
PER_MODE = ("untrained", "gain", "effect", "detectable")
"""Columns that belong to the first mode; for another mode its name is appended, as in 'gain_inductive'."""
NEED_TESTS = frozenset(["before", *MODES, *PER_MODE, *(f"{name}_{mode}" for name in PER_MODE for mode in MODES)])
"""Columns that a group lacks if none of its runs was tested, or none in that mode."""


@dataclass(frozen=True)
class TableCell:
    """One cell of a table."""

    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Numbers in base units (fractions, seconds, bytes), by suffix of the column's name."""
    mark: str = ""
    """A sign after the text that a note below the table explains."""
    best: bool | None = None
    """Whether it is the best of its column or not significantly worse; None if the cell was not compared."""
    bad: bool = False


@dataclass(frozen=True)
class Column:
    """One column of one table."""

    name: str
    title: str
    about: str
    cell: Callable[[RowRuns], TableCell]
    numeric: bool = True
    measures_machine: bool = False
    """Whether it holds times or memory: comparable only on the same machine and software."""
    lower_is_better: bool | None = None
    """None if neither direction is better."""
    mode: str = ""
    """The mode that a column of scores belongs to."""
    values: Callable[[RowRuns], list[float]] = lambda row: []
    """One value per finished run in base units, for times, memory and a plugin's numbers."""
    problem: str = ""
    """Why cells are empty that should not be: the error of a plugin's column."""


def columns_of(group: Group) -> dict[str, Column]:
    """Return every built-in column of this group by name, in display order."""
    columns = [*_text_columns(), *_score_columns(group), *_machine_columns(group.rows), *_run_columns()]
    return {column.name: column for column in columns}


def built_in_names() -> set[str]:
    """Return every reserved name: no plugin's column can have it."""
    columns = [*_text_columns(), *_machine_columns([]), *_run_columns()]
    return {*(column.name for column in columns), *NEED_TESTS, *COLUMN_SETS}


def choose_columns(
    group: Group, names: tuple[str, ...], plugin_columns: Mapping[str, Column] = NO_COLUMNS
) -> list[Column]:
    """Return the columns called ``names`` ('all' for every column, 'default' for the default ones).

    Raises ConfigError for a name that is neither built in nor in ``plugin_columns``.
    """
    built_in = columns_of(group)
    if "all" in names:
        return [*built_in.values(), *plugin_columns.values()]
    requested = [column for name in names for column in _expand(name, group)]
    valid = {*built_in, *NEED_TESTS, *plugin_columns}
    unknown = [name for name in requested if name not in valid]
    if unknown:
        raise ConfigError(*(f"There is no column '{name}'.{did_you_mean(name, valid)}" for name in unknown))
    return [
        built_in[name] if name in built_in else plugin_columns[name]
        for name in dict.fromkeys(requested)
        if name in built_in or name in plugin_columns
    ]


def _expand(name: str, group: Group) -> Iterable[str]:
    if name == "default":
        return [column for part in DEFAULT for column in _expand(part, group)]
    return (group.modes or ["score"]) if name == "score" else [name]


def _text_columns() -> list[Column]:
    def preset(row: RowRuns) -> TableCell:
        name, subset = row.runs[0].spec.preset, row_settings.subsets(row)
        return TableCell(name + (", subset" if subset else ""), {"": name, "subset": subset})

    def backbone(row: RowRuns) -> TableCell:
        return _text_cell(row.runs[0].spec.backbone.name)

    def settings(row: RowRuns) -> TableCell:
        return _text_cell(row.label_text)

    def status(row: RowRuns) -> TableCell:
        return _text_cell(row_settings.status(row))

    return [
        _text_column("preset", "preset", "settings by name, and whether the data set was incomplete", preset),
        _text_column("settings", "settings", "what distinguishes rows of one algorithm", settings),
        _text_column("backbone", "backbone", "network", backbone),
        _text_column("status", "status", "how the row's runs ended", status),
    ]


def _score_columns(group: Group) -> list[Column]:
    if not group.modes:  # nothing was tested: one column that says why
        return [Column("score", "score", "after adaptation", _failure_cell)]
    first, *others = group.modes
    higher = group.reference is not None and group.reference.higher_is_better
    columns = [_score_column(mode, higher) for mode in group.modes]
    columns.append(_estimate_column("untrained", first, "untrained network"))
    columns.append(_estimate_column("gain", first, "gain of training"))
    columns += _best_comparison_columns(group, first, higher)
    for mode in others:
        columns.append(_estimate_column("untrained", mode, f"untrained, {mode}", name_mode=True))
        columns.append(_estimate_column("gain", mode, f"gain, {mode}", name_mode=True))
        columns += [
            replace(column, name=f"{column.name}_{mode}", title=f"{column.title}, {mode}")
            for column in _best_comparison_columns(group, mode, higher)
        ]
    columns.append(_number_column("before", "before", f"before adaptation, {first}", _score_before, percent=True))
    return columns


def _score_column(mode: str, higher_is_better: bool) -> Column:
    def cell(row: RowRuns) -> TableCell:
        return _interval_cell(row, estimate(row, mode, "score")) if row.seed_runs else _failure_cell(row)

    about = f"score after adaptation, {mode}"
    return Column(mode, mode, about, cell, lower_is_better=not higher_is_better, mode=mode)


def _estimate_column(quantity: str, mode: str, about: str, *, name_mode: bool = False) -> Column:
    def cell(row: RowRuns) -> TableCell:
        value = estimate(row, mode, quantity)
        if quantity == "untrained" and value is not None:  # a baseline: the table shows no interval for it
            text = percent_or_number(value.interval.mean, row_settings.is_fraction(row))
            return TableCell(text, _interval_cell(row, value).data)
        return _interval_cell(row, value, signed=quantity == "gain")

    name = f"{quantity}_{mode}" if name_mode else quantity
    return Column(name, about if name_mode else quantity, f"{about} ({mode})", cell)


def _best_comparison_columns(group: Group, mode: str, higher_is_better: bool) -> list[Column]:
    """Make the columns of effect size and minimum detectable effect. They are computed on first use."""

    @cache
    def comparisons() -> dict[int, BestComparison]:
        scores = {id(group.rows[index]): values for index, values in shared_scores(group.rows, mode).items()}
        compared = compare_with_best(list(scores.values()), higher_is_better=higher_is_better)
        return dict(zip(scores, compared, strict=True))

    def field_of(name: str) -> Callable[[RowRuns], float | None]:
        return lambda row: getattr(comparisons().get(id(row)), name, None)

    effect = (
        "score minus the best row's, in standard deviations: of their paired differences between episodes (fewer "
        "than three seeds), or of the seeds' means"
    )
    detectable = "minimum detectable difference from the best row: power 80 %, before correction"
    return [
        _number_column("effect", "effect size", f"{effect} ({mode})", field_of("effect_size")),
        _number_column(
            "detectable", "detectable", f"{detectable} ({mode})", field_of("minimum_detectable_effect"), percent=True
        ),
    ]


def _score_before(row: RowRuns) -> float | None:
    return mean_if_any([test.score_after_step[0] for test in row.tests if test.score_after_step])


def _machine_columns(rows: Iterable[RowRuns]) -> list[Column]:
    clocks = {row_settings.clock(run) for row in rows for run in row.runs}
    device_title = f"{clocks.pop()} s" if len(clocks) == 1 else "device s"
    per_iteration = "milliseconds per meta-iteration, without warm-up"
    per_second = "meta-iterations per second, without warm-up"
    memory, to_target = _measured("peak_memory_bytes"), _measured("seconds_to_target")
    return [
        _machine_column("device_seconds", device_title, "CPU seconds of the process, or GPU seconds"),
        _machine_column("wall_seconds", "wall s", "seconds from start to end"),
        _machine_column("milliseconds", "ms/it", per_iteration, _milliseconds),
        replace(_machine_column("iterations_per_second", "it/s", per_second), lower_is_better=False),
        _machine_column("memory", "MiB", "peak memory", memory, scale=1 / 1024**2),
        _machine_column(
            "target_seconds", "s to target", "seconds until validation reached the target score", to_target
        ),
    ]


def _run_columns() -> list[Column]:
    run = row_settings.representative_run

    def engine(row: RowRuns) -> TableCell:
        return _text_cell(str(run(row).engine.get("name") or ""))

    def device(row: RowRuns) -> TableCell:
        return _text_cell(row_settings.device(row))

    return [
        _number_column("examples", "examples seen", "examples trained on", _mean_of("examples_seen")),
        _number_column("iterations", "iterations", "meta-iterations", _mean_of("iterations")),
        _number_column("parameters", "parameters", "meta-learned scalars", lambda row: run(row).parameters),
        _number_column("steps", "steps", "adaptation steps at test", row_settings.adaptation_steps),
        _number_column("order", "order", "order of the meta-gradient", lambda row: run(row).gradient_order),
        _text_column("engine", "engine", "how tasks were computed", engine),
        _text_column("device", "device", "hardware", device),
        Column("seeds", "seeds", "training seeds that finished, of those started", _seeds_cell),
    ]


def _seeds_cell(row: RowRuns) -> TableCell:
    done, tried = len(row.seed_runs), len(row.seed_runs) + len(row.unfinished)
    text = str(done) if done == tried else f"{done} of {tried}"
    return TableCell(text, {"": done, "tried": tried}, bad=done < tried)


def _failure_cell(row: RowRuns) -> TableCell:
    """Show the status in place of the score of a row in which nothing finished."""
    status = row_settings.status(row)
    return TableCell(status, {"status": status}, bad=True)


def _interval_cell(row: RowRuns, value: Estimate | None, *, signed: bool = False) -> TableCell:
    if value is None:
        return TableCell()
    mean, low, high = value.interval.mean, value.interval.low, value.interval.high
    text = with_half_width(mean, value.half_width, row_settings.is_fraction(row), signed=signed)
    return TableCell(text, {"": mean, "low": low, "high": high, "interval_over": value.over})


def _milliseconds(row: RowRuns) -> list[float]:
    """Return the milliseconds per meta-iteration of each finished run that has a rate."""
    return [1000 / rate for rate in _measured("iterations_per_second")(row) if rate]


def _measured(name: str) -> Callable[[RowRuns], list[float]]:
    """Return a function from a row to the measurement called ``name`` of each finished run."""

    def values(row: RowRuns) -> list[float]:
        return [float(value) for run in row.measurements if (value := getattr(run, name)) is not None]

    return values


def _mean_of(name: str) -> Callable[[RowRuns], float | None]:
    return lambda row: mean_if_any(_measured(name)(row))


def _text_cell(text: str) -> TableCell:
    return TableCell(text, {"": text})


def _text_column(name: str, title: str, about: str, cell: Callable[[RowRuns], TableCell]) -> Column:
    return Column(name, title, about, cell, numeric=False)


def _number_column(
    name: str,
    title: str,
    about: str,
    value_of: Callable[[RowRuns], float | None],
    *,
    percent: bool = False,
    scale: float = 1.0,
) -> Column:
    def cell(row: RowRuns) -> TableCell:
        value = value_of(row)
        if value is None:
            return TableCell()
        as_percent = percent and row_settings.is_fraction(row)
        return TableCell(percent_or_number(value, True) if as_percent else number(value * scale), {"": value})

    return Column(name, title, about, cell)


def _machine_column(
    name: str, title: str, about: str, values: Callable[[RowRuns], list[float]] | None = None, *, scale: float = 1.0
) -> Column:
    """Make a column of times or memory: the mean of ``values``, by default of the measurement called ``name``."""
    values_of = values or _measured(name)
    column = _number_column(name, title, about, lambda row: mean_if_any(values_of(row)), scale=scale)
    return replace(column, measures_machine=True, lower_is_better=True, values=values_of)

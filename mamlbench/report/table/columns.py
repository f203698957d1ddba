"""The columns of a comparison table: what each shows, in words, and as numbers for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.report.formatting import number, percent_or_number, with_half_width
from mamlbench.report.statistics.comparison import Standing, standings
from mamlbench.report.statistics.episode_scores import shared_scores
from mamlbench.report.statistics.estimates import Estimate, average, estimate
from mamlbench.report.table import row_settings
from mamlbench.report.table.groups import Group, Row
from mamlbench.run_spec import MODES

NO_COLUMNS: Mapping[str, Column] = {}
DEFAULT = ("preset", "score", "untrained", "gain", "device_seconds", "milliseconds", "memory", "seeds")
"""Columns shown where none are asked for. 'score' stands for one column per mode."""

SEVERAL = ("score", "default", "all")
"""Names that stand for several columns."""
PER_MODE = ("untrained", "gain", "effect", "detectable")
"""Columns that belong to the first mode; to another with its name behind theirs, as 'gain_inductive'."""
OF_TESTED_RUNS = frozenset(["before", *MODES, *PER_MODE, *(f"{each}_{mode}" for each in PER_MODE for mode in MODES)])
"""Columns that a group lacks where none of its runs was tested, or not in that mode."""


@dataclass(frozen=True)
class Cell:
    """What stands at one place of a table."""

    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Numbers in base units (fractions, seconds, bytes), by suffix of the column's name."""
    mark: str = ""
    """A sign behind the text that a note below the table explains."""
    best: bool | None = None
    """Whether it is the best of its column or not significantly worse; None where nothing was judged."""
    bad: bool = False


@dataclass(frozen=True)
class Column:
    """One column of one table."""

    name: str
    title: str
    about: str
    cell: Callable[[Row], Cell]
    numeric: bool = True
    measures_machine: bool = False
    """Time and memory: comparable on the same machine and software only."""
    lower_is_better: bool | None = None
    """None where more is neither better nor worse."""
    mode: str = ""
    """Of a column of scores: the mode they belong to."""
    values: Callable[[Row], list[float]] = lambda row: []
    """Of time and memory, and of a plugin's numbers: what there is of each finished run, in base units."""
    problem: str = ""
    """Why cells are empty that should not be: a plugin's column that failed."""


def columns_of(group: Group) -> dict[str, Column]:
    """Every column that this group can have by itself, by name, in the order in which they stand."""
    columns = [*_descriptive(), *_scores(group), *_time_and_memory(group.rows), *_facts()]
    return {column.name: column for column in columns}


def built_in_names() -> set[str]:
    """Every name that is taken: no plugin's column can have it."""
    columns = [*_descriptive(), *_time_and_memory([]), *_facts()]
    return {*(column.name for column in columns), *OF_TESTED_RUNS, *SEVERAL}


def choose_columns(group: Group, names: tuple[str, ...], plugged: Mapping[str, Column] = NO_COLUMNS) -> list[Column]:
    """The columns called ``names`` ('all' for every one, 'default' for those shown where none are asked for).

    Raises ConfigError for a name that is neither known nor ``plugged``.
    """
    known = columns_of(group)
    if "all" in names:
        return [*known.values(), *plugged.values()]
    wanted = [each for name in names for each in _expanded(name, group)]
    anywhere = {*known, *OF_TESTED_RUNS, *plugged}
    unknown = [name for name in wanted if name not in anywhere]
    if unknown:
        raise ConfigError(*(f"There is no column '{name}'.{did_you_mean(name, anywhere)}" for name in unknown))
    return [
        known[name] if name in known else plugged[name]
        for name in dict.fromkeys(wanted)
        if name in known or name in plugged
    ]


def _expanded(name: str, group: Group) -> Iterable[str]:
    if name == "default":
        return [each for part in DEFAULT for each in _expanded(part, group)]
    return (group.modes or ["score"]) if name == "score" else [name]


def _descriptive() -> list[Column]:
    def preset(row: Row) -> Cell:
        name = row.runs[0].spec.preset
        return Cell(
            name + (", subset" if row_settings.subsets(row) else ""), {"": name, "subset": row_settings.subsets(row)}
        )

    return [
        _words("preset", "preset", "settings by name, and whether the data set was incomplete", preset),
        _words("settings", "settings", "what tells rows of one algorithm apart", lambda row: _plain(row.described)),
        _words("backbone", "backbone", "network", lambda row: _plain(row.runs[0].spec.backbone.name)),
        _words("status", "status", "how the row's runs ended", lambda row: _plain(row_settings.status(row))),
    ]


def _scores(group: Group) -> list[Column]:
    if not group.modes:  # nothing was tested: one column that says why
        return [Column("score", "score", "after adaptation", _failure)]
    first, *others = group.modes
    higher = group.reference is not None and group.reference.higher_is_better
    made = [_score(mode, higher) for mode in group.modes]
    made += [_estimated("untrained", first, "untrained network"), _estimated("gain", first, "gain of training")]
    made += _against_the_best(group, first, higher)
    for mode in others:
        made += [_estimated("untrained", mode, f"untrained, {mode}", named=True)]
        made += [_estimated("gain", mode, f"gain, {mode}", named=True)]
        made += [
            replace(column, name=f"{column.name}_{mode}", title=f"{column.title}, {mode}")
            for column in _against_the_best(group, mode, higher)
        ]
    return [*made, _number_column("before", "before", f"before adaptation, {first}", _before, share=True)]


def _score(mode: str, higher_is_better: bool) -> Column:
    def cell(row: Row) -> Cell:
        found = estimate(row, mode, "score")
        return _failure(row) if not row.seeds else _interval(row, found)

    about = f"score after adaptation, {mode}"
    return Column(mode, mode, about, cell, lower_is_better=not higher_is_better, mode=mode)


def _estimated(quantity: str, mode: str, about: str, *, named: bool = False) -> Column:
    def cell(row: Row) -> Cell:
        found = estimate(row, mode, quantity)
        if quantity == "untrained" and found is not None:
            text = percent_or_number(found.interval.mean, row_settings.is_share(row))
            return Cell(text, _interval(row, found).data)
        return _interval(row, found, signed=quantity == "gain")

    name = f"{quantity}_{mode}" if named else quantity
    return Column(name, about if named else quantity, f"{about} ({mode})", cell)


def _against_the_best(group: Group, mode: str, higher_is_better: bool) -> list[Column]:
    """Effect size and smallest detectable difference, worked out when one of them is first asked for."""

    @cache
    def found() -> dict[int, Standing]:
        scores = {id(group.rows[place]): each for place, each in shared_scores(group.rows, mode).items()}
        return dict(zip(scores, standings(list(scores.values()), higher_is_better=higher_is_better), strict=True))

    def value(name: str) -> Callable[[Row], float | None]:
        return lambda row: getattr(found().get(id(row)), name, None)

    effect = (
        "score minus the best row's, in standard deviations: of their paired differences between episodes (fewer "
        "than three seeds), or of the seeds' means"
    )
    detectable = "smallest difference from the best row that would be shown in 80 % of repetitions, before correction"
    return [
        _number_column("effect", "effect size", f"{effect} ({mode})", value("effect_size")),
        _number_column("detectable", "detectable", f"{detectable} ({mode})", value("detectable"), share=True),
    ]


def _before(row: Row) -> float | None:
    return average([test.score_after_step[0] for test in row.tests if test.score_after_step])


def _time_and_memory(rows: Iterable[Row]) -> list[Column]:
    clocks = {row_settings.clock(run) for row in rows for run in row.runs}
    clock = f"{clocks.pop()} s" if len(clocks) == 1 else "device s"
    each = _values_of
    return [
        _machine_column("device_seconds", clock, "CPU seconds of the process, or GPU seconds", each("device_seconds")),
        _machine_column("wall_seconds", "wall s", "seconds from start to end", each("wall_seconds")),
        _machine_column("milliseconds", "ms/it", "milliseconds per meta-iteration, without warm-up", milliseconds),
        _machine_column(
            "iterations_per_second",
            "it/s",
            "meta-iterations per second, without warm-up",
            each("iterations_per_second"),
            lower_is_better=False,
        ),
        _machine_column("memory", "MiB", "peak memory", each("peak_memory_bytes"), scale=1 / 1024**2),
        _machine_column(
            "target_seconds",
            "s to target",
            "seconds until validation reached the target score",
            each("seconds_to_target"),
        ),
    ]


def _facts() -> list[Column]:
    run = row_settings.first
    return [
        _number_column("examples", "examples seen", "examples trained on", _mean_of("examples_seen")),
        _number_column("iterations", "iterations", "meta-iterations", _mean_of("iterations")),
        _number_column("parameters", "parameters", "meta-learned scalars", lambda row: run(row).parameters),
        _number_column("steps", "steps", "adaptation steps at test", row_settings.adaptation_steps),
        _number_column("order", "order", "order of the meta-gradient", lambda row: run(row).gradient_order),
        _words(
            "engine", "engine", "how tasks were computed", lambda row: _plain(str(run(row).engine.get("name") or ""))
        ),
        _words("device", "device", "where it ran", lambda row: _plain(row_settings.device(row))),
        Column("seeds", "seeds", "training seeds that finished, of those tried", _seeds),
    ]


def _seeds(row: Row) -> Cell:
    done, tried = len(row.seeds), len(row.seeds) + len(row.unfinished)
    text = str(done) if done == tried else f"{done} of {tried}"
    return Cell(text, {"": done, "tried": tried}, bad=done < tried)


def _failure(row: Row) -> Cell:
    """Stand-in for the score of a row in which nothing finished."""
    return Cell(row_settings.status(row), {"status": row_settings.status(row)}, bad=True)


def _interval(row: Row, found: Estimate | None, *, signed: bool = False) -> Cell:
    if found is None:
        return Cell()
    mean, low, high = found.interval.mean, found.interval.low, found.interval.high
    text = with_half_width(mean, found.half_width, row_settings.is_share(row), signed=signed)
    return Cell(text, {"": mean, "low": low, "high": high, "interval_over": found.over})


def milliseconds(row: Row) -> list[float]:
    """Milliseconds per meta-iteration of each finished run, where known."""
    return [1000 / rate for rate in _values_of("iterations_per_second")(row) if rate]


def _values_of(name: str) -> Callable[[Row], list[float]]:
    def values(row: Row) -> list[float]:
        return [float(v) for measured in row.measurements if (v := getattr(measured, name)) is not None]

    return values


def _mean_of(name: str) -> Callable[[Row], float | None]:
    return lambda row: average(_values_of(name)(row))


def _plain(text: str) -> Cell:
    return Cell(text, {"": text})


def _words(name: str, title: str, about: str, cell: Callable[[Row], Cell]) -> Column:
    return Column(name, title, about, cell, numeric=False)


def _number_column(
    name: str, title: str, about: str, value: Callable[[Row], float | None], *, share: bool = False, scale: float = 1.0
) -> Column:
    def cell(row: Row) -> Cell:
        found = value(row)
        if found is None:
            return Cell()
        shown = percent_or_number(found, True) if share and row_settings.is_share(row) else number(found * scale)
        return Cell(shown, {"": found})

    return Column(name, title, about, cell)


def _machine_column(
    name: str,
    title: str,
    about: str,
    values: Callable[[Row], list[float]],
    *,
    scale: float = 1.0,
    lower_is_better: bool = True,
) -> Column:
    plain = _number_column(name, title, about, lambda row: average(values(row)), scale=scale)
    return replace(plain, measures_machine=True, lower_is_better=lower_is_better, values=values)

"""The columns that describe a row's runs: settings, time and memory, counts, hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from mamlbench.report.statistics.estimates import mean_if_any
from mamlbench.report.table import row_settings
from mamlbench.report.table.columns import Column, TableCell, number_column, text_cell, text_column
from mamlbench.report.table.groups import RowRuns

FEATURES = "feature_seconds"
"""Name of the column of a frozen encoder's pass; a table without one lacks it."""
FEATURES_ABOUT = "CPU or GPU seconds of a frozen encoder's pass over all images, whichever run made it"


def text_columns() -> list[Column]:
    """Return the columns of words that come first."""

    def preset(row: RowRuns) -> TableCell:
        name, subset = row.runs[0].spec.preset, row_settings.subsets(row)
        return TableCell(name + (", subset" if subset else ""), {"": name, "subset": subset})

    def backbone(row: RowRuns) -> TableCell:
        return text_cell(row.runs[0].spec.backbone.name)

    def settings(row: RowRuns) -> TableCell:
        return text_cell(row.label_text)

    def status(row: RowRuns) -> TableCell:
        return text_cell(row_settings.status(row))

    return [
        text_column("preset", "preset", "settings by name, and whether the data set was incomplete", preset),
        text_column("settings", "settings", "what distinguishes rows of one algorithm", settings),
        text_column("backbone", "backbone", "network", backbone),
        text_column("status", "status", "how the row's runs ended", status),
    ]


def machine_columns(rows: Iterable[RowRuns]) -> list[Column]:
    """Return the columns of time and memory."""
    rows = list(rows)
    clocks = {row_settings.clock(run) for row in rows for run in row.runs}
    counted = f"{clocks.pop()} seconds" if len(clocks) == 1 else "CPU seconds of the process, or GPU seconds"
    per_iteration = "milliseconds per meta-iteration, without warm-up"
    per_second = "meta-iterations per second, without warm-up"
    memory, to_target = _measured("peak_memory_bytes"), _measured("seconds_to_target")
    return [
        _machine_column("device_seconds", "device s", f"device time: {counted}"),
        *([_machine_column(FEATURES, "features s", FEATURES_ABOUT, _feature_seconds)] if _have_features(rows) else []),
        _machine_column("wall_seconds", "wall s", "seconds from start to end"),
        _machine_column("milliseconds", "ms/it", per_iteration, _milliseconds),
        replace(_machine_column("iterations_per_second", "it/s", per_second), lower_is_better=False),
        _machine_column("memory", "MiB", "peak memory", memory, scale=1 / 1024**2),
        _machine_column(
            "target_seconds", "s to target", "seconds until validation reached the target score", to_target
        ),
    ]


def run_columns() -> list[Column]:
    """Return the columns that come last."""
    run = row_settings.representative_run

    def engine(row: RowRuns) -> TableCell:
        return text_cell(str(run(row).engine.get("name") or ""))

    def device(row: RowRuns) -> TableCell:
        return text_cell(row_settings.device(row))

    def precision(row: RowRuns) -> TableCell:
        return text_cell(run(row).spec.precision)

    return [
        number_column("examples", "examples seen", "examples trained on", _mean_of("examples_seen")),
        number_column("iterations", "iterations", "meta-iterations", _mean_of("iterations")),
        number_column("parameters", "parameters", "meta-learned scalars", lambda row: run(row).parameters),
        number_column("steps", "steps", "adaptation steps at test", row_settings.adaptation_steps),
        number_column("order", "order", "order of the meta-gradient", lambda row: run(row).gradient_order),
        number_column(
            "trials", "tuning trials", "trials that the options were chosen from; empty: not known", _tuning_trials
        ),
        text_column("engine", "engine", "how tasks were computed", engine),
        text_column("precision", "precision", "numbers it computed in", precision),
        text_column("device", "device", "hardware", device),
        Column("seeds", "seeds", "training seeds that finished, of those started", _seeds_cell),
    ]


def _tuning_trials(row: RowRuns) -> float | None:
    return row.runs[0].spec.tuning_trials


def _seeds_cell(row: RowRuns) -> TableCell:
    done, tried = len(row.seed_runs), len(row.seed_runs) + len(row.unfinished)
    text = str(done) if done == tried else f"{done} of {tried}"
    return TableCell(text, {"": done, "tried": tried}, bad=done < tried)


def _milliseconds(row: RowRuns) -> list[float]:
    """Return the milliseconds per meta-iteration of each finished run that has a rate."""
    return [1000 / rate for rate in _measured("iterations_per_second")(row) if rate]


def _have_features(rows: Iterable[RowRuns]) -> bool:
    return any(run.features is not None for row in rows for run in row.measurements)


def _feature_seconds(row: RowRuns) -> list[float]:
    return [run.features.device for run in row.measurements if run.features is not None]


def _measured(name: str) -> Callable[[RowRuns], list[float]]:
    """Return a function from a row to the measurement called ``name`` of each finished run."""

    def values(row: RowRuns) -> list[float]:
        return [float(value) for run in row.measurements if (value := getattr(run, name)) is not None]

    return values


def _mean_of(name: str) -> Callable[[RowRuns], float | None]:
    return lambda row: mean_if_any(_measured(name)(row))


def _machine_column(
    name: str, title: str, about: str, values: Callable[[RowRuns], list[float]] | None = None, *, scale: float = 1.0
) -> Column:
    """Make a column of times or memory: the mean of ``values``, by default of the measurement called ``name``."""
    values_of = values or _measured(name)
    column = number_column(name, title, about, lambda row: mean_if_any(values_of(row)), scale=scale)
    return replace(column, measures_machine=True, lower_is_better=True, values=values_of)

"""Loading records into a tidy pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.record import Evaluation, Interval, Measurement, RunRecord
from mamlbench.report.loading import read_records
from mamlbench.report.table.seen_test_data import seen_in

if TYPE_CHECKING:
    import pandas as pd

FILES = "mamlbench_files"
"""Key of ``DataFrame.attrs``: name and file of each record that was read."""


def load_records(*sources: str | Path | RunRecord) -> pd.DataFrame:
    """Load records as a tidy table: one row per record, metric and mode; one with mode None if nothing was tested.

    Args:
        *sources: record files, folders (searched recursively) and records; ``results`` if none.

    Returns:
        A DataFrame with these columns. Scores are in the metric's own unit: accuracies are fractions of 1.

        - identity: ``record`` (its name), ``algorithm``, ``dataset``, ``backbone``, ``sampler``, ``preset``,
          ``seed``, ``attempt``, ``status``, ``reason``, ``started`` (UTC), ``spec_hash``, ``fingerprint``,
          ``device``, ``engine``, ``precision``, ``code``, ``subset`` (of the data set, None if complete);
        - protocol: ``ways``, ``shots``, ``queries``, ``test_episodes``, ``episode_seed``, ``label_noise``,
          ``corrupt``, ``data_hash``, ``test_split_hash``, ``metric``, ``higher_is_better``, ``mode``;
        - scores over episodes, each with ``_low`` and ``_high`` of its 95 % confidence interval: ``score``,
          ``untrained``, ``gain`` (positive if training helped); the ends for new classes, ``score_new_classes_low``,
          ``gain_new_classes_high``, ...; ``before`` (before adaptation, first mode only),
          ``episode_scores`` (a list), ``adaptation_steps``; ``seen``: 'seen', 'not seen' or 'unknown', whether the
          network was trained on test classes or images;
        - time in seconds, memory in bytes: ``device_seconds``, ``wall_seconds``, ``data_seconds``,
          ``train_seconds``, ``evaluate_seconds``, ``checkpoint_seconds``, ``other_seconds`` (wall),
          ``iterations``, ``iterations_per_second``, ``examples_seen``, ``seconds_to_target``, ``peak_memory_bytes``;
        - the model: ``parameters``, ``gradient_order``, ``selected_iteration``;
        - options, one column each: ``option.inner_lr`` of the algorithm, ``backbone.width``, ``dataset.rotations``.

    Warns if a file is skipped because it is not a record. Raises ConfigError if a path does not exist.
    """
    import warnings

    import pandas as pd

    files: list[list[str]] = []
    records = [source for source in sources if isinstance(source, RunRecord)]
    paths = [source for source in sources if not isinstance(source, RunRecord)]
    if paths or not sources:
        loaded = read_records(paths or ("results",))
        records += loaded.records
        files += [[record.name, str(path)] for record, path in zip(loaded.records, loaded.files, strict=True)]
        for problem in loaded.problems:
            warnings.warn(problem, stacklevel=2)
    frame = pd.DataFrame([row for record in records for row in _rows(record)])
    frame.attrs[FILES] = files
    return frame


def _rows(record: RunRecord) -> Iterator[dict[str, Any]]:
    test = record.test
    common = _run(record) | _protocol(record)
    measurement = _measurement(record.measurement) | {
        "parameters": record.parameters,
        "gradient_order": record.gradient_order,
        "selected_iteration": record.selected_iteration,
    }
    if test is None or not test.modes:
        yield common | _scores(None) | measurement | _options(record)
        return
    for metric, result in test.metrics.items():
        for mode in result.modes:
            yield common | _scores(test, metric, mode) | measurement | _options(record)


def _run(record: RunRecord) -> dict[str, Any]:
    spec = record.spec
    return {
        "record": record.name,
        **{kind: getattr(spec, kind).name for kind in ("algorithm", "dataset", "backbone", "sampler")},
        **{name: getattr(spec, name) for name in ("preset", "seed")},
        **{
            name: getattr(record, name)
            for name in ("attempt", "status", "reason", "started", "spec_hash", "fingerprint")
        },
        "device": record.environment.device_name or spec.device,
        "engine": record.engine.get("name"),
        "precision": spec.precision,
        "code": record.environment.code_hash,
        "subset": record.data.subset if record.data else None,
    }


def _protocol(record: RunRecord) -> dict[str, Any]:
    protocol = record.test.protocol if record.test else record.spec.protocol
    names = ("ways", "shots", "queries", "test_episodes", "episode_seed", "label_noise", "corrupt")
    return {name: getattr(protocol, name) for name in names} | {
        "data_hash": record.data.content_hash if record.data else None,
        "test_split_hash": record.data.split_hashes.get("test") if record.data else None,
    }


def _scores(test: Evaluation | None, metric: str = "", mode: str = "") -> dict[str, Any]:
    of_metric = test.metrics[metric] if test else None
    result = of_metric.modes[mode] if of_metric else None
    row: dict[str, Any] = {
        "metric": metric or None,
        "higher_is_better": of_metric.higher_is_better if of_metric else None,
        "mode": mode or None,
    }
    for name in ("score", "untrained", "gain"):
        interval: Interval | None = getattr(result, name, None)
        row[name] = interval.mean if interval else None
        row |= {f"{name}_{end}": getattr(interval, end) if interval else None for end in ("low", "high")}
    for name in ("score_new_classes", "gain_new_classes"):
        interval = getattr(result, name, None)
        row |= {f"{name}_{end}": getattr(interval, end) if interval else None for end in ("low", "high")}
    seen = seen_in(test) if test else None
    after_step = of_metric.score_after_step if of_metric and mode == next(iter(of_metric.modes)) else []
    return row | {
        "before": after_step[0] if after_step else None,
        "episode_scores": list(result.episode_scores) if result else None,
        "adaptation_steps": test.adaptation_steps if test else None,
        "seen": seen.answer if seen else None,
    }


def _measurement(measurement: Measurement | None) -> dict[str, Any]:
    segments = ("data", "train", "evaluate", "checkpoint", "other")
    names = (
        "iterations",
        "iterations_per_second",
        "examples_seen",
        "seconds_to_target",
        "peak_memory_bytes",
        "runs_at_once",
    )
    row = {name: getattr(measurement, name, None) for name in ("device_seconds", "wall_seconds")}
    for name in segments:
        segment = measurement.segments.get(name) if measurement else None
        row[f"{name}_seconds"] = segment.wall if segment else None
    return row | {name: getattr(measurement, name, None) for name in names}


def _options(record: RunRecord) -> dict[str, Any]:
    spec = record.spec
    options = {f"option.{name}": value for name, value in spec.algorithm.options.items()}
    for kind in ("dataset", "backbone", "sampler"):
        options |= {f"{kind}.{name}": value for name, value in getattr(spec, kind).options.items()}
    return options

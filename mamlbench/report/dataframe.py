"""Records as a tidy table for pandas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamlbench.record import Evaluation, Interval, Measurement, ModeResult, RunRecord
from mamlbench.report.loading import read_records

if TYPE_CHECKING:
    import pandas as pd


def load_records(*sources: str | Path | RunRecord) -> pd.DataFrame:
    """Load records as a tidy table: one row per record and mode; one row with mode None where nothing was tested.

    Args:
        *sources: record files, folders (searched with what is below them) and records; ``results`` where none.

    Returns:
        A DataFrame with these columns. Scores are in the metric's own unit: accuracies are fractions of 1.

        - which run: ``record`` (its name), ``algorithm``, ``dataset``, ``backbone``, ``sampler``, ``preset``,
          ``seed``, ``attempt``, ``status``, ``reason``, ``started`` (UTC), ``spec_hash``, ``fingerprint``,
          ``device``, ``engine``, ``code``, ``subset`` (of the data set, None where complete);
        - protocol: ``ways``, ``shots``, ``queries``, ``test_episodes``, ``episode_seed``, ``data_hash``,
          ``test_split_hash``, ``metric``, ``higher_is_better``, ``mode``;
        - scores over episodes, each with ``_low`` and ``_high`` of its 95 % interval: ``score``, ``untrained``,
          ``gain`` (positive where training helped); ``before`` (before adaptation, first mode only),
          ``episode_scores`` (a list), ``adaptation_steps``;
        - time in seconds, memory in bytes: ``device_seconds``, ``wall_seconds``, ``data_seconds``,
          ``train_seconds``, ``evaluate_seconds``, ``checkpoint_seconds``, ``other_seconds`` (wall),
          ``iterations``, ``iterations_per_second``, ``examples_seen``, ``seconds_to_target``, ``peak_memory_bytes``;
        - the model: ``parameters``, ``gradient_order``, ``selected_iteration``;
        - options, one column each: ``option.inner_lr`` of the algorithm, ``backbone.width``, ``dataset.rotations``.

    Warns where a file was skipped because it is no record. Raises ConfigError where a path does not exist.
    """
    import warnings

    import pandas as pd

    records = [source for source in sources if isinstance(source, RunRecord)]
    paths = [source for source in sources if not isinstance(source, RunRecord)]
    if paths or not sources:
        reading = read_records(paths or ("results",))
        records += reading.records
        for problem in reading.problems:
            warnings.warn(problem, stacklevel=2)
    return pd.DataFrame([row for record in records for row in _rows(record)])


def _rows(record: RunRecord) -> Iterator[dict[str, Any]]:
    test = record.test
    shared = _run(record) | _protocol(record)
    measured = _measurement(record.measurement) | {
        "parameters": record.parameters,
        "gradient_order": record.gradient_order,
        "selected_iteration": record.selected_iteration,
    }
    if test is None or not test.modes:
        yield shared | _scores(None, None, None) | measured | _options(record)
        return
    for mode, result in test.modes.items():
        yield shared | _scores(test, mode, result) | measured | _options(record)


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
        "code": record.environment.code_hash,
        "subset": record.data.subset if record.data else None,
    }


def _protocol(record: RunRecord) -> dict[str, Any]:
    protocol = record.test.protocol if record.test else record.spec.protocol
    names = ("ways", "shots", "queries", "test_episodes", "episode_seed")
    return {name: getattr(protocol, name) for name in names} | {
        "data_hash": record.data.content_hash if record.data else None,
        "test_split_hash": record.data.split_hashes.get("test") if record.data else None,
    }


def _scores(test: Evaluation | None, mode: str | None, result: ModeResult | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "metric": test.metric if test else None,
        "higher_is_better": test.higher_is_better if test else None,
        "mode": mode,
    }
    for name in ("score", "untrained", "gain"):
        found: Interval | None = getattr(result, name, None)
        row[name] = found.mean if found else None
        row |= {f"{name}_{end}": getattr(found, end) if found else None for end in ("low", "high")}
    first = test is not None and mode == next(iter(test.modes)) and bool(test.score_after_step)
    return row | {
        "before": test.score_after_step[0] if test and first else None,
        "episode_scores": list(result.episode_scores) if result else None,
        "adaptation_steps": test.adaptation_steps if test else None,
    }


def _measurement(measured: Measurement | None) -> dict[str, Any]:
    segments = ("data", "train", "evaluate", "checkpoint", "other")
    names = (
        "iterations",
        "iterations_per_second",
        "examples_seen",
        "seconds_to_target",
        "peak_memory_bytes",
        "runs_at_once",
    )
    row = {name: getattr(measured, name, None) for name in ("device_seconds", "wall_seconds")}
    for name in segments:
        segment = measured.segments.get(name) if measured else None
        row[f"{name}_seconds"] = segment.wall if segment else None
    return row | {name: getattr(measured, name, None) for name in names}


def _options(record: RunRecord) -> dict[str, Any]:
    spec = record.spec
    options = {f"option.{name}": value for name, value in spec.algorithm.options.items()}
    for kind in ("dataset", "backbone", "sampler"):
        options |= {f"{kind}.{name}": value for name, value in getattr(spec, kind).options.items()}
    return options

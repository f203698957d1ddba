"""Grouping records: which may share a table, and which form one row (rules 4 to 8 of docs/explanation.md)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any, NamedTuple

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.record import Evaluation, Measurement, MetricResult, ModeResult, RunRecord, in_order
from mamlbench.report.formatting import number
from mamlbench.report.table.row_names import row_names
from mamlbench.run_spec import NO_CORRUPTION, RunSpec, Training
from mamlbench.run_spec.metric_names import find_metric


class ScoreConditions(NamedTuple):
    """Everything that must be equal for two scores to be comparable; the mode is a column of the table."""

    dataset: str
    data: str
    test_split: str
    ways: int
    shots: int
    queries: int
    test_episodes: int
    episode_seed: int
    metric: str
    """the first, which selected the checkpoints"""
    test_sampling: str = "independent"
    test_until: float | None = None
    label_noise: float = 0.0
    corrupt: str = NO_CORRUPTION
    least_ways: int | None = None
    least_shots: int | None = None
    imbalance: float = 0.0

    @property
    def disturbance(self) -> str:
        """What was done to test episodes; empty if nothing was."""
        return disturbance(self.label_noise, self.corrupt, self.imbalance)

    def differences(self, other: ScoreConditions) -> list[str]:
        """List what differs, briefly: ``queries 1 and 15``."""
        pairs = zip(self._fields, self, other, strict=True)
        return [_difference(name, first, second) for name, first, second in pairs if first != second]


def disturbance(label_noise: float, corrupt: str, imbalance: float) -> str:
    """Say what was done to test episodes, in words for a title: unequal classes, wrong labels, corrupted images."""
    unequal = f"classes with {number(1 + imbalance)} to {number(1 - imbalance)} times the shots" if imbalance else ""
    labels = f"{number(100 * label_noise)} % of support labels wrong" if label_noise else ""
    images = "" if corrupt == NO_CORRUPTION else f"images corrupted by {corrupt}"
    return ", ".join(filter(None, [unequal, labels, images]))


def _difference(name: str, first: Any, second: Any) -> str:
    words = name.replace("_", " ")
    is_hash = name in ("data", "test_split")  # a hash means nothing to a reader
    return f"different {words}" if is_hash else f"{words} {first} and {second}"


@dataclass
class RowRuns:
    """The runs behind one row of a table: they differ only in the training seed, or are repeats."""

    runs: list[RunRecord]
    """All runs, finished or not, in the order in which they were started."""
    label: dict[str, Any] = field(default_factory=dict)
    """Settings that distinguish this row from others of the same algorithm and preset."""
    name: str = ""
    """What it is called in tables, figures and notes."""

    @property
    def algorithm(self) -> str:
        """Registered name."""
        return self.runs[0].spec.algorithm.name

    @property
    def label_text(self) -> str:
        """The label as text: ``inner_lr=0.1, width=32``."""
        return ", ".join(f"{name}={value}" for name, value in self.label.items())

    @cached_property
    def finished(self) -> list[RunRecord]:
        """All runs that were tested."""
        return [run for run in self.runs if is_complete(run)]

    @cached_property
    def seed_runs(self) -> list[RunRecord]:
        """The last finished run of each training seed, in order of seed. A repeat does not count as another seed."""
        last = {run.spec.seed: run for run in self.finished}
        return [last[seed] for seed in sorted(last)]

    @cached_property
    def unfinished(self) -> list[RunRecord]:
        """The last run of each seed that was never finished."""
        done = {run.spec.seed for run in self.seed_runs}
        last = {run.spec.seed: run for run in self.runs if run.spec.seed not in done}
        return [last[seed] for seed in sorted(last)]

    @cached_property
    def tests(self) -> list[Evaluation]:
        """The test results of each seed."""
        return [run.test for run in self.seed_runs if run.test is not None]

    def metric_results(self, metric: str) -> list[MetricResult]:
        """Return the results of each seed that reports ``metric``."""
        return [test.metrics[metric] for test in self.tests if metric in test.metrics]

    def mode_results(self, metric: str, mode: str) -> list[ModeResult]:
        """Return the results of each seed that reports ``metric`` and was tested in ``mode``."""
        return [result.modes[mode] for result in self.metric_results(metric) if mode in result.modes]

    @cached_property
    def measurements(self) -> list[Measurement]:
        """Time and memory of every finished run, including repeats."""
        return [run.measurement for run in self.finished if run.measurement is not None]


@dataclass
class Group:
    """Rows whose scores may be compared."""

    conditions: ScoreConditions
    rows: list[RowRuns]
    metric: str = ""
    """The metric that tables and figures show, by default the first. Empty if nothing was tested."""

    @property
    def records(self) -> list[RunRecord]:
        """Every record of every row."""
        return [run for row in self.rows for run in row.runs]

    @cached_property
    def metrics(self) -> dict[str, MetricResult]:
        """Every metric that any row reports, the shown one first, with a result that has its unit and direction."""
        results = {name: result for row in self.rows for test in row.tests for name, result in test.metrics.items()}
        return dict(sorted(results.items(), key=lambda item: item[0] != self.metric))

    @property
    def dataset(self) -> str:
        """What the data set is called: a user's own by its folder."""
        return self.rows[0].runs[0].spec.dataset.title

    @property
    def reference(self) -> MetricResult | None:
        """A result with the unit and direction of the shown metric."""
        return self.metrics.get(self.metric)

    @cached_property
    def modes(self) -> list[str]:
        """Modes that any row was tested in, in the order of the protocols."""
        return list(dict.fromkeys(mode for row in self.rows for test in row.tests for mode in test.modes))


def is_complete(run: RunRecord) -> bool:
    """Return whether a run finished and was tested."""
    return run.status == "finished" and run.test is not None


def group_records(records: Iterable[RunRecord], metric: str | None = None) -> list[Group]:
    """Sort records into comparable groups, and the runs of each group into rows, in order of first appearance.

    A run that ended before its data was hashed joins the first group with the same data set name and protocol.

    Args:
        records: finished or not.
        metric: the metric that tables and figures show, if a group reports it; None: the first of each group.

    Raises ConfigError if no record reports ``metric``.
    """
    records = list(records)
    shown = None if metric is None else _reported_metric(metric, records)
    by_conditions: dict[ScoreConditions, list[RunRecord]] = defaultdict(list)
    without_test = []
    for record in in_order(records):
        if record.data is None or record.test is None:
            without_test.append(record)
        else:
            by_conditions[conditions_of(record)].append(record)
    for record in without_test:
        partial = conditions_of(record)
        conditions = next((full for full in by_conditions if _is_compatible(partial, full)), partial)
        by_conditions[conditions].append(record)
    return [_group(conditions, runs, shown) for conditions, runs in by_conditions.items()]


def _group(conditions: ScoreConditions, runs: Sequence[RunRecord], metric: str | None) -> Group:
    reports = metric is not None and any(metric in run.test.metrics for run in runs if run.test is not None)
    return Group(conditions, _rows(runs), metric if metric is not None and reports else conditions.metric)


def _reported_metric(name: str, records: Iterable[RunRecord]) -> str:
    """Return the metric of the records that a user means by ``name``."""
    reported = {metric for record in records if record.test is not None for metric in record.test.metrics}
    metric = find_metric(name, reported)
    if metric is None:
        raise ConfigError(f"None of these records reports the metric '{name}'.{did_you_mean(name, reported)}")
    return metric


def conditions_of(record: RunRecord) -> ScoreConditions:
    """Return the conditions of a record's scores; hashes and metric are empty if the run did not get so far."""
    test, data = record.test, record.data
    protocol = test.protocol if test is not None else record.spec.protocol
    return ScoreConditions(
        dataset=record.spec.dataset.name,
        data=data.content_hash if data else "",
        test_split=data.split_hashes.get("test", "") if data else "",
        ways=protocol.ways,
        shots=protocol.shots,
        queries=protocol.queries,
        test_episodes=protocol.test_episodes,
        episode_seed=protocol.episode_seed,
        metric=test.metric if test is not None else "",
        test_sampling=protocol.test_sampling,
        test_until=protocol.test_until,
        label_noise=protocol.label_noise,
        corrupt=protocol.corrupt,
        least_ways=protocol.least_ways,
        least_shots=protocol.least_shots,
        imbalance=protocol.imbalance,
    )


def _is_compatible(partial: ScoreConditions, full: ScoreConditions) -> bool:
    """Return whether all conditions are equal, apart from those that are empty in ``partial``."""
    return all(value in ("", expected) for value, expected in zip(partial, full, strict=True))


def _rows(runs: Iterable[RunRecord]) -> list[RowRuns]:
    by_key: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        by_key[f"{training_key(run.spec)} {_environment_key(run)}"].append(run)
    rows = [RowRuns(row_runs) for row_runs in by_key.values()]
    _label_rows(rows)
    _name_rows(rows)
    return rows


def training_key(spec: RunSpec) -> str:
    """Identify what was trained and tested: the spec without the seed and without what is merely reported."""
    protocol = spec.protocol.without_reporting()
    return spec.model_copy(update={"seed": 0, "protocol": protocol}).canonical_json()


def _environment_key(run: RunRecord) -> str:
    """Identify the environment without the git revision: a commit that changes no code does not start a new row."""
    return f"{run.environment.model_dump_json(exclude={'git_revision'})} {runs_at_once(run)}"


def runs_at_once(run: RunRecord) -> int:
    """Return how many runs may have shared the machine while this one was measured."""
    return run.measurement.runs_at_once if run.measurement is not None else 1


def _label_rows(rows: Sequence[RowRuns]) -> None:
    """Label rows of the same algorithm and preset with the settings in which they differ."""
    by_name: dict[tuple[str, str], list[RowRuns]] = defaultdict(list)
    for row in rows:
        by_name[row.algorithm, row.runs[0].spec.preset].append(row)
    for same_name in by_name.values():
        row_settings = [settings_of(row.runs[0]) for row in same_name]
        names = dict.fromkeys(name for settings in row_settings for name in settings)
        differing = [name for name in names if len({repr(settings.get(name)) for settings in row_settings}) > 1]
        if any(row.runs[0].spec.precision != "float32" for row in same_name) and "precision" not in differing:
            differing.append("precision")  # shown even if all rows share it: a reader assumes float32
        if "validate_every" in differing and _equal_validations(row.runs[0].spec.training for row in same_name):
            differing.remove("validate_every")
        for row, settings in zip(same_name, row_settings, strict=True):
            row.label = {name: settings[name] for name in differing if name in settings}


def _name_rows(rows: Sequence[RowRuns]) -> None:
    """Name rows by the user's label, or by what distinguishes them within their algorithm, whatever the preset."""
    by_algorithm: dict[str, list[RowRuns]] = defaultdict(list)
    for row in rows:
        by_algorithm[row.algorithm].append(row)
    for algorithm, same in by_algorithm.items():
        specs = [row.runs[-1].spec for row in same]
        settings = [{"preset": row.runs[0].spec.preset, **settings_of(row.runs[0])} for row in same]
        names = row_names(algorithm, [spec.label for spec in specs], settings)
        for row, name, spec in zip(same, names, specs, strict=True):
            shows = spec.precision == "float32" or spec.precision in name  # a reader assumes float32
            row.name = name if shows else f"{name}, {spec.precision}"


def _equal_validations(trainings: Iterable[Training]) -> bool:
    """Return whether one number of validations explains all intervals, so that the iterations are sufficient.

    n validations in I iterations give an interval v = ceil(I / n); so I / v <= n, and n < I / (v - 1).
    """
    lower, upper = 1.0, math.inf
    for training in trainings:
        iterations, interval = training.iterations, training.validate_every
        lower = max(lower, math.ceil(iterations / interval))
        upper = min(upper, iterations / (interval - 1) if interval > 1 else math.inf)
    return lower < upper


def settings_of(run: RunRecord, *, include_environment: bool = True) -> dict[str, Any]:
    """Return every setting, and the environment (code, software, machine), one level deep, under short names."""
    spec = run.spec
    settings: dict[str, Any] = dict(spec.algorithm.options)
    for kind in ("dataset", "backbone", "sampler"):
        component = getattr(spec, kind)
        settings[kind] = component.name
        settings |= {f"{kind}.{name}": value for name, value in component.options.items()}
    shape = (
        "ways",
        "shots",
        "queries",
        "least_ways",
        "least_shots",
    )  # of training episodes; those of test episodes are in the protocol
    training = spec.training.model_dump()
    settings |= {f"train_{name}" if name in shape else name: value for name, value in training.items()}
    settings |= {"device": spec.device, "engine": spec.engine, "precision": spec.precision}
    settings |= {"deterministic": spec.deterministic}
    settings |= {"init": PurePath(spec.init).stem} if spec.init_sha256 else {}
    settings |= {} if spec.tuning_trials is None else {"tuning_trials": spec.tuning_trials}
    return settings | _environment_settings(run) if include_environment else settings


def _environment_settings(run: RunRecord) -> dict[str, Any]:
    environment = run.environment
    settings: dict[str, Any] = {
        "code": environment.code_hash[:7],
        "cpu": environment.cpu,
        "cores": environment.cores,
        "threads": environment.threads,
        "gpu": environment.device_name,
        "allocator": environment.allocator,
        "kernels": environment.kernels,
        "runs_at_once": runs_at_once(run),
        "python": environment.python,
        "platform": environment.platform,
    }
    plugins = {f"plugin {name}": version for name, version in environment.plugins.items()}
    return settings | environment.packages | plugins

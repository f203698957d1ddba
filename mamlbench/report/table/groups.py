"""Which records may stand in one table, and which of them are one row of it (rules 4 to 8 of the design page)."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from mamlbench.record import Evaluation, Measurement, RunRecord
from mamlbench.run_spec import Training


class Conditions(NamedTuple):
    """Everything that must be equal before two scores may be compared; the mode is a column of the table."""

    dataset: str
    data: str
    test_split: str
    ways: int
    shots: int
    queries: int
    test_episodes: int
    episode_seed: int
    metric: str

    def differences(self, other: Conditions) -> list[str]:
        """Say what is not equal, shortly: ``queries 1 and 15``."""
        pairs = zip(self._fields, self, other, strict=True)
        return [_difference(name, ours, theirs) for name, ours, theirs in pairs if ours != theirs]


def _difference(name: str, ours: Any, theirs: Any) -> str:
    words = name.replace("_", " ")
    return f"other {words}" if name in ("data", "test_split") else f"{words} {ours} and {theirs}"


@dataclass
class Row:
    """Runs that differ in nothing but the training seed (and repeats of them)."""

    runs: list[RunRecord]
    """Every run, finished or not, in the order in which they were started."""
    label: dict[str, Any] = field(default_factory=dict)
    """Settings that tell this row from others of the same algorithm and preset."""

    @property
    def algorithm(self) -> str:
        """Registered name."""
        return self.runs[0].spec.algorithm.name

    @property
    def described(self) -> str:
        """The label in words."""
        return ", ".join(f"{name}={value}" for name, value in self.label.items())

    @cached_property
    def finished(self) -> list[RunRecord]:
        """Every run that was tested."""
        return [run for run in self.runs if is_complete(run)]

    @cached_property
    def seeds(self) -> list[RunRecord]:
        """The last finished run of each training seed, in order of seed: a repeat is no further seed."""
        last = {run.spec.seed: run for run in self.finished}
        return [last[seed] for seed in sorted(last)]

    @cached_property
    def unfinished(self) -> list[RunRecord]:
        """The last run of each seed that was never finished."""
        done = {run.spec.seed for run in self.seeds}
        last = {run.spec.seed: run for run in self.runs if run.spec.seed not in done}
        return [last[seed] for seed in sorted(last)]

    @cached_property
    def tests(self) -> list[Evaluation]:
        """The test of each seed."""
        return [run.test for run in self.seeds if run.test is not None]

    @cached_property
    def measurements(self) -> list[Measurement]:
        """Time and memory of every finished run, repeats as well."""
        return [run.measurement for run in self.finished if run.measurement is not None]


@dataclass
class Group:
    """Rows whose scores may be compared."""

    conditions: Conditions
    rows: list[Row]

    @property
    def records(self) -> list[RunRecord]:
        """Every record of every row."""
        return [run for row in self.rows for run in row.runs]

    @cached_property
    def reference(self) -> Evaluation | None:
        """A test of this group, for what is the same in all of them (metric, unit, direction)."""
        return next((test for row in self.rows for test in row.tests), None)

    @cached_property
    def modes(self) -> list[str]:
        """Modes that any row was tested in, in the order of the protocols."""
        return list(dict.fromkeys(mode for row in self.rows for test in row.tests for mode in test.modes))


def is_complete(run: RunRecord) -> bool:
    """Whether a run ended well and was tested."""
    return run.status == "finished" and run.test is not None


def group_records(records: Iterable[RunRecord]) -> list[Group]:
    """Sort records into groups by what must be equal, and into rows by what is; both in order of first appearance.

    A run that ended before its data was hashed joins the group of its data set's name and protocol.
    """
    found: dict[Conditions, list[RunRecord]] = defaultdict(list)
    strays = []
    for record in sorted(records, key=lambda record: record.started):
        if record.data is None or record.test is None:
            strays.append(record)
        else:
            found[conditions_of(record)].append(record)
    for record in strays:
        own = conditions_of(record)
        found[next((known for known in found if _fits(own, known)), own)].append(record)
    return [Group(conditions, _rows(runs)) for conditions, runs in found.items()]


def conditions_of(record: RunRecord) -> Conditions:
    """What a record's scores were measured under; empty hashes and metric where the run did not get so far."""
    test, data = record.test, record.data
    protocol = test.protocol if test is not None else record.spec.protocol
    return Conditions(
        dataset=record.spec.dataset.name,
        data=data.content_hash if data else "",
        test_split=data.split_hashes.get("test", "") if data else "",
        ways=protocol.ways,
        shots=protocol.shots,
        queries=protocol.queries,
        test_episodes=protocol.test_episodes,
        episode_seed=protocol.episode_seed,
        metric=test.metric if test is not None else "",
    )


def _fits(stray: Conditions, known: Conditions) -> bool:
    return all(ours in ("", theirs) for ours, theirs in zip(stray, known, strict=True))


def _rows(runs: Iterable[RunRecord]) -> list[Row]:
    by_key: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        spec = json.dumps(run.spec.model_dump(mode="json", exclude={"seed"}), sort_keys=True)
        by_key[f"{spec} {_software_and_machine(run)}"].append(run)
    rows = [Row(members) for members in by_key.values()]
    _tell_apart(rows)
    return rows


def _software_and_machine(run: RunRecord) -> str:
    """The environment without the revision: a commit that changes no code makes no other row."""
    return f"{run.environment.model_dump_json(exclude={'git_revision'})} {runs_at_once(run)}"


def runs_at_once(run: RunRecord) -> int:
    """How many runs may have shared the machine while this one was measured."""
    return run.measurement.runs_at_once if run.measurement is not None else 1


def _tell_apart(rows: Sequence[Row]) -> None:
    """Label rows of the same algorithm and preset with the settings in which they differ."""
    alike: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        alike[row.algorithm, row.runs[0].spec.preset].append(row)
    for members in alike.values():
        described = [settings_of(row.runs[0]) for row in members]
        names = dict.fromkeys(name for settings in described for name in settings)
        differing = [name for name in names if len({repr(settings.get(name)) for settings in described}) > 1]
        if "validate_every" in differing and _evenly_spread(row.runs[0].spec.training for row in members):
            differing.remove("validate_every")
        for row, settings in zip(members, described, strict=True):
            row.label = {name: settings[name] for name in differing if name in settings}


def _evenly_spread(trainings: Iterable[Training]) -> bool:
    """Whether one number of validations explains every interval between them: then the iterations say it all.

    n validations in I iterations are ceil(I / n) iterations v apart; so I / v <= n, and n < I / (v - 1).
    """
    least, below = 1.0, math.inf
    for training in trainings:
        iterations, apart = training.iterations, training.validate_every
        least = max(least, math.ceil(iterations / apart))
        below = min(below, iterations / (apart - 1) if apart > 1 else math.inf)
    return least < below


def settings_of(run: RunRecord, *, surroundings: bool = True) -> dict[str, Any]:
    """Every setting, and the surroundings (code, software, machine), one level deep, under short names."""
    spec, environment = run.spec, run.environment
    settings: dict[str, Any] = dict(spec.algorithm.options)
    for kind in ("dataset", "backbone", "sampler"):
        component = getattr(spec, kind)
        settings[kind] = component.name
        settings |= {f"{kind}.{name}": value for name, value in component.options.items()}
    settings |= spec.training.model_dump() | {"device": spec.device, "engine": spec.engine}
    if not surroundings:
        return settings
    settings |= {"code": environment.code_hash[:7], "cpu": environment.cpu, "cores": environment.cores}
    settings |= {"threads": environment.threads, "gpu": environment.device_name, "allocator": environment.allocator}
    settings["kernels"] = environment.kernels
    settings["runs_at_once"] = runs_at_once(run)
    settings |= {"python": environment.python, "platform": environment.platform}
    return settings | environment.packages | {f"plugin {name}": v for name, v in environment.plugins.items()}

"""What earlier records say about runs that are to come: whether they are done, and how long they will take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median

from mamlbench.record import Environment, Measurement, ResultStore, RunRecord, UnreadableRecordError, read_record
from mamlbench.run_spec import RunSpec

START_SECONDS = 5
"""A fresh process until its run begins (importing torch, most of all), which records do not count."""


class History:
    """Records of a results folder, read when first asked for."""

    def __init__(self, store: ResultStore) -> None:
        self.problems: list[str] = []
        self._store = store
        self._alike: dict[str, list[RunRecord]] = {}
        self._timed: dict[tuple[str, ...], list[RunRecord]] = defaultdict(list)

    def of(self, spec: RunSpec) -> list[RunRecord]:
        """Records of this very spec, the latest last, whatever code and machine they come from."""
        found = [record for record in self._read(spec) if record.spec_hash == spec.hash]
        return sorted(found, key=lambda record: (record.started, record.attempt))

    def add(self, record: RunRecord) -> None:
        """Take in what has just been run."""
        self._read(record.spec).append(record)
        self._file(record)

    def estimate(self, spec: RunSpec, environment: Environment) -> float | None:
        """Estimate the wall seconds of a run from finished ones on the same machine; None where none is like it.

        The records nearest to it are taken: those that differ in the training seed only; else those with the same
        settings but for how much is trained and tested, scaled to that; else those with other options of the
        algorithm.
        """
        self._read(spec)
        for key in _keys(spec, environment):
            found = self._timed.get(key)
            if found:
                return START_SECONDS + median(_scaled(each, spec) for each in found)
        return None

    def _read(self, spec: RunSpec) -> list[RunRecord]:
        """Records of the same algorithm, data set, ways and shots; files that cannot be read become problems."""
        prefix = self._store.prefix(spec)
        if prefix not in self._alike:
            self._alike[prefix] = []
            for path in self._store.paths(prefix):
                try:
                    record = read_record(path)
                except UnreadableRecordError as error:
                    self.problems.append(str(error))
                else:
                    self._alike[prefix].append(record)
                    self._file(record)
        return self._alike[prefix]

    def _file(self, record: RunRecord) -> None:
        """Keep a record under everything that a later run may be like it in."""
        if record.status == "finished" and record.measurement is not None:
            for key in _keys(record.spec, record.environment):
                self._timed[key].append(record)


def _keys(spec: RunSpec, environment: Environment) -> list[tuple[str, ...]]:
    """What must be equal for one run to take as long as another, the closest likeness first."""
    protocol, training = spec.protocol, spec.training
    machine = (environment.cpu, environment.cores, environment.threads, environment.device_name, environment.platform)
    here = repr((spec.device, machine))
    seedless = spec.model_copy(
        update={"seed": 0, "preset": "", "training": training.model_copy(update={"target_score": None})}
    )
    episodes = (protocol.ways, protocol.shots, protocol.queries, protocol.modes, training.shots, training.queries)
    amountless = (spec.algorithm, spec.dataset, spec.backbone, spec.sampler, spec.engine, episodes)
    methodless = (spec.algorithm.name, spec.dataset.name, spec.backbone, protocol.ways, protocol.shots)
    return [
        ("seed", here, seedless.canonical_json()),
        ("amount", here, repr(amountless)),
        ("method", here, repr(methodless)),
    ]


def _scaled(record: RunRecord, spec: RunSpec) -> float:
    """Wall seconds of a record, had it trained and been evaluated as much as ``spec`` asks for."""
    measured = record.measurement
    assert measured is not None
    training = max(0.0, _wall(measured, "train") - measured.warmup.wall)
    evaluation = _wall(measured, "evaluate")
    rest = measured.wall_seconds - training - evaluation
    return rest + training * _ratio(_tasks, record.spec, spec) + evaluation * _ratio(_episodes, record.spec, spec)


def _wall(measured: Measurement, name: str) -> float:
    return measured.segments[name].wall if name in measured.segments else 0.0


def _ratio(amount: Callable[[RunSpec], int], old: RunSpec, new: RunSpec) -> float:
    return amount(new) / max(1, amount(old))


def _tasks(spec: RunSpec) -> int:
    return spec.training.iterations * spec.training.meta_batch_size


def _episodes(spec: RunSpec) -> int:
    validations = -(-spec.training.iterations // spec.training.validate_every)
    return validations * spec.protocol.validation_episodes + 2 * spec.protocol.test_episodes  # trained and untrained

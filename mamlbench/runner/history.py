"""What earlier records say about runs that are to come: whether they are done, and how long they will take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from mamlbench.record import Environment, Measurement, ResultStore, RunRecord, UnreadableRecordError, read_record
from mamlbench.spec import RunSpec

START_SECONDS = 5
"""A fresh process until its run begins (importing torch, most of all), which records do not count."""
_MACHINE = {"cpu", "cores", "threads", "device_name", "platform"}


class History:
    """Records of a results folder, read when first asked for."""

    def __init__(self, store: ResultStore) -> None:
        self.problems: list[str] = []
        self._store = store
        self._alike: dict[str, list[RunRecord]] = {}

    def alike(self, spec: RunSpec) -> list[RunRecord]:
        """Records of the same algorithm, data set, ways and shots; files that cannot be read become problems."""
        prefix = self._store.prefix(spec)
        if prefix not in self._alike:
            self._alike[prefix] = []
            for path in self._store.paths(prefix):
                try:
                    self._alike[prefix].append(read_record(path))
                except UnreadableRecordError as error:
                    self.problems.append(str(error))
        return self._alike[prefix]

    def of(self, spec: RunSpec) -> list[RunRecord]:
        """Records of this very spec, the latest last, whatever code and machine they come from."""
        found = [record for record in self.alike(spec) if record.spec_hash == spec.hash]
        return sorted(found, key=lambda record: (record.started, record.attempt))

    def add(self, record: RunRecord) -> None:
        """Take in what has just been run."""
        self.alike(record.spec).append(record)


def estimate(spec: RunSpec, records: Iterable[RunRecord], environment: Environment) -> float | None:
    """Estimate the wall seconds of a run from finished ones on the same machine; None where there is none like it.

    The records nearest to it are taken: those that differ in the training seed only; else those with the same
    settings but for how much is trained and tested, scaled to that; else those with other options of the algorithm.
    """
    machine = environment.model_dump(include=_MACHINE)
    usable = [
        record
        for record in records
        if record.status == "finished"
        and record.measurement is not None
        and record.spec.device == spec.device
        and record.environment.model_dump(include=_MACHINE) == machine
    ]
    for like in (_but_the_seed, _but_the_amount, _but_the_method):
        found = [each for each in usable if like(each.spec) == like(spec)]
        if found:
            return START_SECONDS + median(_scaled(each, spec) for each in found)
    return None


def _but_the_seed(spec: RunSpec) -> Any:
    training = spec.training.model_copy(update={"target_score": None})
    return spec.model_copy(update={"seed": 0, "training": training, "preset": ""})


def _but_the_amount(spec: RunSpec) -> Any:
    protocol, training = spec.protocol, spec.training
    episodes = (protocol.ways, protocol.shots, protocol.queries, protocol.modes, training.shots, training.queries)
    return (spec.algorithm, spec.dataset, spec.backbone, spec.sampler, spec.engine, episodes)


def _but_the_method(spec: RunSpec) -> Any:
    return (spec.algorithm.name, spec.dataset.name, spec.backbone, spec.protocol.ways, spec.protocol.shots)


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
    return spec.training.iterations * spec.training.meta_batch


def _episodes(spec: RunSpec) -> int:
    validations = -(-spec.training.iterations // spec.training.validate_every)
    return validations * spec.protocol.validation_episodes + 2 * spec.protocol.test_episodes  # trained and untrained

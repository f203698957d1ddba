"""History of completed runs, which shows the finished cells of a suite and estimates the time of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median

from mamlbench.record import (
    Environment,
    Measurement,
    ResultStore,
    RunRecord,
    UnreadableRecordError,
    in_order,
    read_record,
)
from mamlbench.run_spec import RunSpec

START_SECONDS = 5
"""Time from the start of a process to the start of its run, mostly importing torch; records do not include it."""


class RunHistory:
    """Records of a results folder, read when they are first needed.

    Attributes:
        problems: one sentence for every record that cannot be read.
    """

    def __init__(self, store: ResultStore) -> None:
        self.problems: list[str] = []
        self._store = store
        self._by_prefix: dict[str, list[RunRecord]] = {}
        self._by_similarity: dict[tuple[str, ...], list[RunRecord]] = defaultdict(list)

    def records_of(self, spec: RunSpec) -> list[RunRecord]:
        """Return the records of exactly this spec, the latest last, from any code and machine."""
        return in_order(record for record in self._read(spec) if record.spec_hash == spec.hash)

    def add(self, record: RunRecord) -> None:
        """Add the record of a run that has just ended."""
        self._read(record.spec).append(record)
        self._index(record)

    def estimate(self, spec: RunSpec, environment: Environment) -> float | None:
        """Estimate the wall seconds of a run from similar finished runs on the same machine; None if there are none.

        It uses the most similar records: those that differ in the training seed only; otherwise those that differ in
        the amounts of training and evaluation, scaled; otherwise those with other options of the algorithm.
        """
        self._read(spec)
        for key in _similarity_keys(spec, environment):
            records = self._by_similarity.get(key)
            if records:
                return START_SECONDS + median(_scaled_seconds(record, spec) for record in records)
        return None

    def _read(self, spec: RunSpec) -> list[RunRecord]:
        """Read the records of the same algorithm, data set, ways and shots; unreadable files become problems."""
        prefix = self._store.prefix(spec)
        if prefix not in self._by_prefix:
            self._by_prefix[prefix] = []
            for path in self._store.paths(prefix):
                try:
                    record = read_record(path)
                except UnreadableRecordError as error:
                    self.problems.append(str(error))
                else:
                    self._by_prefix[prefix].append(record)
                    self._index(record)
        return self._by_prefix[prefix]

    def _index(self, record: RunRecord) -> None:
        """Store a finished record under each of its similarity keys."""
        if record.status == "finished" and record.measurement is not None:
            for key in _similarity_keys(record.spec, record.environment):
                self._by_similarity[key].append(record)


def _similarity_keys(spec: RunSpec, environment: Environment) -> list[tuple[str, ...]]:
    """Keys that are equal for runs of similar duration, the closest similarity first."""
    protocol, training = spec.protocol, spec.training
    machine = (environment.cpu, environment.cores, environment.threads, environment.device_name, environment.platform)
    device_and_machine = repr((spec.device, machine))
    without_seed = spec.model_copy(
        update={"seed": 0, "preset": "", "training": training.model_copy(update={"target_score": None})}
    )
    episodes = (
        protocol.ways,
        protocol.shots,
        protocol.queries,
        protocol.modes,
        training.ways,
        training.shots,
        training.queries,
    )
    network = (spec.backbone, spec.precision)
    without_amounts = (spec.algorithm, spec.dataset, *network, spec.sampler, spec.engine, episodes)
    without_options = (spec.algorithm.name, spec.dataset.name, *network, protocol.ways, protocol.shots)
    return [
        ("seed", device_and_machine, without_seed.canonical_json()),
        ("amounts", device_and_machine, repr(without_amounts)),
        ("options", device_and_machine, repr(without_options)),
    ]


def _scaled_seconds(record: RunRecord, spec: RunSpec) -> float:
    """Wall seconds of a record, scaled to the amounts of training and evaluation of ``spec``."""
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

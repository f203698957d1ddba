"""Tiers of published numbers from the records of a results folder, for the commands that show numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mamlbench.errors import ConfigError
from mamlbench.plugin.reproductions import Reproducible, read_reproductions

if TYPE_CHECKING:
    from mamlbench.plugin import Plugins
    from mamlbench.record import PublishedNumber, RunRecord
    from mamlbench.record.reproduction import PlannedReproduction


def with_tiers_of_folder(numbers: Sequence[PublishedNumber], plugins: Plugins, folder: Path) -> list[PublishedNumber]:
    """Return the numbers with the tiers that the records in a folder give them; it need not exist.

    Only records of a reproduction's method, data set and task are read.
    """
    from mamlbench.record import ResultStore, UnreadableRecordError, read_record

    store = ResultStore(folder)
    tasks = {task for entry in _reproductions(numbers, plugins) for task in _tasks(entry)}
    starts = tuple(f"{dataset}-{ways}w{shots}s-{algorithm}-seed" for algorithm, dataset, ways, shots in tasks)
    records = []
    for path in store.paths() if starts else []:
        if path.name.startswith(starts):
            try:
                records.append(read_record(path))
            except UnreadableRecordError:  # 'mamlbench report' names it
                continue
    return with_tiers_of_records(numbers, plugins, records)


def with_tiers_of_records(
    numbers: Sequence[PublishedNumber], plugins: Plugins, records: Sequence[RunRecord]
) -> list[PublishedNumber]:
    """Return the numbers with the tiers that records give them; torch is imported if a record may be of one."""
    tasks = {_task_of_record(record) for record in records}
    candidates = [entry for entry in _reproductions(numbers, plugins) if _tasks(entry) & tasks]
    if not candidates:
        return list(numbers)
    from mamlbench.report.reproduction.tiers import with_tiers

    return with_tiers(numbers, _planned(candidates, plugins), records)


def _planned(entries: Iterable[Reproducible], plugins: Plugins) -> list[PlannedReproduction]:
    """The readings of reproductions; those of a method that is not installed are left out."""
    from mamlbench.runner.plan_reproduction import EVERY_READING, plan_reproduction

    planned = []
    for entry in entries:
        try:
            planned += plan_reproduction(entry, plugins, readings=(EVERY_READING,), device="cpu")
        except ConfigError:
            continue
    return planned


def _reproductions(numbers: Sequence[PublishedNumber], plugins: Plugins) -> list[Reproducible]:
    """The reproductions of these numbers; what is wrong with a file is reported by ``published_numbers``."""
    shown = {number.id for number in numbers}
    entries, _ = read_reproductions(plugins.registry.published)
    return [entry for entry in entries if entry.number.id in shown]


def _tasks(entry: Reproducible) -> set[tuple[str, str, int, int]]:
    """Method, data set, ways and shots of all readings."""
    reproduction, number = entry
    own = reproduction.algorithm or number.algorithm
    methods = {own, *(variant.algorithm or own for variant in reproduction.variants)}
    return {(name, number.dataset, number.ways or 1, number.shots) for name in methods}


def _task_of_record(record: RunRecord) -> tuple[str, str, int, int]:
    spec = record.spec
    return spec.algorithm.name, spec.dataset.name, spec.protocol.ways, spec.protocol.shots

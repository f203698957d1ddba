"""A matrix of trained models and data sets: every cell is a test as by ``mamlbench evaluate``, made once and stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mamlbench.api import Dataset, ProgressCallback, no_progress
from mamlbench.data.resized_split import ResizedSplit
from mamlbench.errors import ConfigError, MamlbenchError, UnwrittenResultError, one_line
from mamlbench.interrupts import check_interrupt, is_interrupt
from mamlbench.plugin import Plugins
from mamlbench.plugin.failure import explain_failure
from mamlbench.plugin.source_hash import plugin_code
from mamlbench.record import Evaluation, RunRecord, code_hash, utc_now
from mamlbench.record.stored_evaluation import (
    EvaluationKey,
    StoredEvaluation,
    TransferCell,
    read_evaluation,
    write_evaluation,
)
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.build import load_dataset
from mamlbench.runner.checkpoints import ModelArtifact, load_model
from mamlbench.runner.evaluate import BuiltModel, build_model, resized_for, score_model, tested_spec
from mamlbench.runner.isolation import isolated

FITTED = ("image_size", "color")
"""Options of a data set that are set to what the network takes, unless the user sets them."""


class TrainedRun(NamedTuple):
    """A run that left a model, and the file of its record."""

    record: RunRecord
    path: Path

    @property
    def folder(self) -> Path:
        """Where its model lies, and the tests of it."""
        return (self.path.parent / str(self.record.model)).parent


@dataclass
class TransferMatrix:
    """Tests models on data sets. Each data set is loaded once, and each network built once for a data set.

    Args:
        runs: whose models are tested.
        datasets: registered names; each is tested with its own normalization.
        shots: support examples per class, one test for each; none: those of the run.
        protocol: further fields of Protocol to change.
        options: of the algorithms and, with the prefix ``dataset.``, of the data sets that have them.
        plugins: the loaded plugins.
        folders: of data and cache.
        device: as for a run.
        progress: called while a data set is prepared.
    """

    runs: Sequence[TrainedRun]
    datasets: Sequence[str]
    shots: Sequence[int]
    protocol: Mapping[str, Any]
    options: Mapping[str, Any]
    plugins: Plugins
    folders: Folders
    device: str = "auto"
    progress: ProgressCallback = no_progress
    problems: list[str] = field(default_factory=list)
    """files of stored tests that could not be used, a sentence each"""
    _loaded: dict[tuple[str, tuple[int, ...] | None], Dataset | MamlbenchError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        registry = self.plugins.registry
        known = {name: registry.load("dataset", name).Options.model_fields for name in self.datasets}
        self._code = code_hash(plugin_code(self.plugins))
        self._options_of = {
            dataset: {
                name: value
                for name, value in self.options.items()
                if not name.startswith("dataset.") or name.removeprefix("dataset.") in known[dataset]
            }
            for dataset in self.datasets
        }
        unknown = [name for name in self.options if all(name not in options for options in self._options_of.values())]
        if unknown:
            raise ConfigError(*(f"None of the data sets has the option '{name}'." for name in unknown))

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(len(self._shots_of(run)) for run in self.runs) * len(self.datasets)

    def cells(self) -> Iterator[TransferCell]:
        """Compute every cell, model after model, or read it if it was stored before.

        A cell that cannot be computed says why, and the others go on. Raises UnwrittenResultError if a test cannot be
        stored, and KeyboardInterrupt; what was stored is not computed again.
        """
        for run in self.runs:
            try:
                artifact: ModelArtifact | str = load_model(run.path)
            except ConfigError as error:
                artifact = _sentence(error)
            for dataset in self.datasets:
                if isinstance(artifact, str):
                    yield from (TransferCell(run.record, dataset, n, reason=artifact) for n in self._shots_of(run))
                else:
                    yield from self._tests(run, artifact, dataset)

    def _shots_of(self, run: TrainedRun) -> Sequence[int]:
        return self.shots or (run.record.spec.protocol.shots,)

    def _tests(self, run: TrainedRun, artifact: ModelArtifact, dataset: str) -> Iterator[TransferCell]:
        """Test a model on a data set, with each number of shots."""
        built: BuiltModel | None = None
        for shots in self._shots_of(run):
            check_interrupt()
            cell = TransferCell(run.record, dataset, shots)
            try:
                spec = self._spec(artifact, dataset, shots)
                with isolated(spec):
                    data = self._dataset(artifact, spec)
                    key = self._key(artifact, spec, data)
                    stored, problem = read_evaluation(run.folder, key)
                    self.problems += [problem] if problem else []
                    if stored is None:
                        built = built or build_model(artifact, run.path, spec, self.plugins, data)
                        stored = self._compute(built, key)
                        write_evaluation(run.folder, stored)
                        cell = cell._replace(computed=True)
                yield cell._replace(evaluation=stored.evaluation, file=run.folder / key.file_name)
            except UnwrittenResultError:
                raise
            except MamlbenchError as error:
                yield cell._replace(reason=_sentence(error))
            except Exception as error:  # a plugin's mistake concerns its own cells
                if is_interrupt(error):
                    raise
                yield cell._replace(reason=f"{explain_failure(error).rstrip('.')}.")

    def _spec(self, artifact: ModelArtifact, dataset: str, shots: int) -> RunSpec:
        """The spec of one test; a data set with options for the size of its images gets the network's."""
        options = dict(self._options_of[dataset])
        known = self.plugins.registry.load("dataset", dataset).Options.model_fields
        trained = artifact.trained_on
        if not isinstance(trained, str) and all(name in known for name in FITTED):
            channels, size, *_ = (*trained.data.input_shape, 0, 0)
            if len(trained.data.input_shape) == 3 and dataset != artifact.spec.dataset.name:
                options = {"dataset.image_size": size, "dataset.color": channels == 3, **options}
        protocol = {**self.protocol, "shots": shots}
        return tested_spec(
            artifact.spec, self.plugins, dataset=dataset, protocol=protocol, options=options, device=self.device
        )

    def _dataset(self, artifact: ModelArtifact, spec: RunSpec) -> Dataset:
        """Load a data set with images as the network takes them, or return it if it was loaded before."""
        shape = None if isinstance(artifact.trained_on, str) else artifact.trained_on.data.input_shape
        name = spec.dataset.model_dump_json()
        if (name, None) not in self._loaded:
            self._loaded[name, None] = self._load(spec)
        if (name, shape) not in self._loaded:
            loaded = self._loaded[name, None]
            self._loaded[name, shape] = loaded if isinstance(loaded, MamlbenchError) else resized_for(artifact, loaded)
        dataset = self._loaded[name, shape]
        if isinstance(dataset, MamlbenchError):
            raise dataset
        return dataset

    def _load(self, spec: RunSpec) -> Dataset | MamlbenchError:
        """Load a data set, or return why it cannot be: it is looked for once, not for every model."""
        try:
            return load_dataset(spec, self.plugins, self.folders, self.progress)
        except MamlbenchError as error:
            return error

    def _key(self, artifact: ModelArtifact, spec: RunSpec, data: Dataset) -> EvaluationKey:
        return EvaluationKey(
            model_sha256=artifact.sha256,
            spec=spec,
            data_hash=data.content_hash,
            resized=isinstance(data.splits["test"], ResizedSplit),
            code=self._code,
            torch=str(torch.__version__),
        )

    def _compute(self, built: BuiltModel, key: EvaluationKey) -> StoredEvaluation:
        started = utc_now()
        options = self._options_of[key.spec.dataset.name]
        evaluation: Evaluation = score_model(built, key.spec.protocol, options)
        return StoredEvaluation(key=key, started=started, evaluation=evaluation)


def _sentence(error: MamlbenchError) -> str:
    """The error in one line: its first problem if there are several."""
    return one_line(str(error).splitlines()[0]) if str(error) else type(error).__name__

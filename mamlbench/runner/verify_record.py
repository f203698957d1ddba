"""Verification of a record: its own hash, those of its files and data, and random test episodes computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mamlbench.api import DataPaths, Dataset, ProgressCallback, no_progress
from mamlbench.errors import ConfigError, DataError, MamlbenchError, MissingDataError, describe_error
from mamlbench.interrupts import is_interrupt
from mamlbench.plugin import Plugins
from mamlbench.record import DataFacts, RunRecord, UnreadableRecordError, read_record
from mamlbench.record.file_hashes import run_folder, seals_of, state_of_file
from mamlbench.run_spec import Component, Folders
from mamlbench.runner.build import Experiment, build_experiment
from mamlbench.runner.checkpoint_folder import CheckpointFolder
from mamlbench.runner.checkpoints import ModelArtifact, clone, load_model
from mamlbench.runner.component_options import stored_options
from mamlbench.runner.datasets.open_dataset import data_facts
from mamlbench.runner.environment import run_environment
from mamlbench.runner.frozen.encoded_dataset import encoded_dataset
from mamlbench.runner.isolation import isolated
from mamlbench.runner.model_state import refuse_foreign_state
from mamlbench.runner.repeat_episodes import RepeatedScore, choose_episodes, repeat_episodes

EPISODES = 20
"""Test episodes that are computed again by default."""

NEEDED = ("record", "model", "data")
"""Checks without which test episodes cannot be computed again."""

EARLY = "not recorded: the record is of an early release"


@dataclass(frozen=True)
class RecordCheck:
    """One check of a record.

    Args:
        name: what was checked.
        ok: whether it passed; None if it could not be checked here.
        result: what was found, or why it could not be checked, in words.
        repeated: whether test episodes were computed again for it.
    """

    name: str
    ok: bool | None
    result: str
    repeated: bool = False


@dataclass(frozen=True)
class RecordVerification:
    """All checks of one record."""

    path: Path
    checks: tuple[RecordCheck, ...]

    @property
    def ok(self) -> bool | None:
        """False if a check failed; else None if one could not be made; else True."""
        results = {check.ok for check in self.checks}
        return False if False in results else None if None in results else True


class RecordVerifier:
    """Verifies records one after the other; a data set that several of them share is opened once.

    Args:
        plugins: the loaded plugins.
        folders: where data lie, and the cache.
        episodes: how many test episodes are computed again.
        seed: chooses them.
        progress: called while a data set is prepared.
    """

    def __init__(
        self,
        plugins: Plugins,
        folders: Folders,
        *,
        episodes: int = EPISODES,
        seed: int = 0,
        progress: ProgressCallback = no_progress,
    ) -> None:
        self.plugins, self.episodes, self.seed = plugins, episodes, seed
        downloads = ("earlier downloads", folders.cache / "downloads")
        self.paths = DataPaths((*folders.data, downloads), folders.cache, allow_download=False, progress=progress)
        self._opened: tuple[Component, Dataset] | None = None

    def verify(self, path: Path) -> RecordVerification:
        """Make every check that this record allows; problems of any kind become results of checks."""
        try:
            record = read_record(path)
        except UnreadableRecordError as error:
            return RecordVerification(path, (RecordCheck("record", False, str(error)),))
        checks = [_check_record(path, record), *_check_files(path, record)]
        checks += [*_check_checkpoint(path, record), *self._check_data(record)]
        if record.test is not None:
            checks.append(self._check_test(path, record, checks))
        return RecordVerification(path, tuple(checks))

    def _check_data(self, record: RunRecord) -> Iterator[RecordCheck]:
        if record.data is None:
            return
        name = record.spec.dataset.name
        try:
            here = data_facts(self._dataset(record.spec.dataset))
        except BaseException as error:  # a plugin may raise anything
            if is_interrupt(error):
                raise
            if isinstance(error, MissingDataError):  # its own message proposes what a run could do
                where = "".join(f" in '{folder}'" for _, folder in self.paths.folders[:-1])
                yield RecordCheck("data", None, f"{name} was not found{where}: name its folder with --data-dir")
                return
            damaged = isinstance(error, DataError)
            yield RecordCheck("data", False if damaged else None, f"{name} cannot be opened here: {_sentence(error)}")
            return
        yield _check_hashes(name, record.data, here)

    def _dataset(self, component: Component) -> Dataset:
        if self._opened is None or self._opened[0] != component:
            plugin: type[Dataset] = self.plugins.registry.load("dataset", component.name)
            self._opened = component, plugin(stored_options("dataset", plugin, component), self.paths)
        return self._opened[1]

    def _check_test(self, path: Path, record: RunRecord, checks: Sequence[RecordCheck]) -> RecordCheck:
        """Compute test episodes again, unless the checks so far show that they cannot be, or not be the same."""
        unsound = [check.name for check in checks if check.ok is False and check.name in NEEDED]
        reason = f"not repeated, because of: {', '.join(unsound)}" if unsound else _why_not_repeated(path, record)
        if reason:
            return RecordCheck("test", None, reason)
        try:
            return self._repeat(record, load_model(path))
        except MissingDataError:
            return RecordCheck("test", None, "not repeated: the data were not found")
        except BaseException as error:  # a plugin may raise anything
            if is_interrupt(error):
                raise
            return RecordCheck("test", None, f"not repeated: {_sentence(error)}")

    def _repeat(self, record: RunRecord, model: ModelArtifact) -> RecordCheck:
        spec, test = record.spec, record.test
        assert test is not None
        total = max(len(result.episode_scores) for one in test.metrics.values() for result in one.modes.values())
        chosen = choose_episodes(total, self.episodes, self.seed)
        with isolated(spec):
            if record.environment.threads is not None:
                torch.set_num_threads(record.environment.threads)  # sums are split among them, and rounded so
            experiment = self._experiment(record)
            untrained = clone(experiment.algorithm.state())
            refuse_foreign_state(model.state, untrained, Path(record.model or ""))
            scores = repeat_episodes(experiment, test, model.state_for(spec), untrained, chosen)
            now = run_environment(spec.device, self.plugins, spec.precision, spec)
        return _check_scores(scores, f"{len(chosen)} of {total:,} episodes", now.changes_since(record.environment))

    def _experiment(self, record: RunRecord) -> Experiment:
        engine = record.engine.get("name")
        if not isinstance(engine, str):
            raise ConfigError("the record does not name its engine")
        dataset = encoded_dataset(self._dataset(record.spec.dataset), record.spec, self.plugins, self.paths.cache)
        return build_experiment(record.spec, self.plugins, dataset, training=False, engine=engine)


def _why_not_repeated(path: Path, record: RunRecord) -> str:
    """Say why no test episode can be computed again here; empty if nothing is known to be in the way."""
    if record.model is None:
        return "not repeated: the run saved no model"
    if torch.device(record.spec.device).type == "cuda" and not torch.cuda.is_available():
        return f"not repeated: there is no device '{record.spec.device}' here"
    return "" if (path.parent / record.model).exists() else "not repeated: the model is missing"


def _check_record(path: Path, record: RunRecord) -> RecordCheck:
    try:
        recorded, actual = seals_of(path)
    except (OSError, ValueError) as error:
        return RecordCheck("record", False, f"it cannot be read: {error}")
    if record.spec.hash != record.spec_hash:
        return RecordCheck("record", False, "its settings are not those that it was written with: their hash differs")
    if not recorded:
        return RecordCheck("record", None, f"consistent; its own SHA-256 is {EARLY}")
    if recorded != actual:
        return RecordCheck("record", False, "its SHA-256 differs: it was changed after it was written")
    return RecordCheck("record", True, "consistent; SHA-256 as written")


def _check_files(path: Path, record: RunRecord) -> Iterator[RecordCheck]:
    """Compare the files of the run with their hashes, those of the model first."""
    folder = run_folder(path, record)
    groups: dict[str, dict[str, str]] = {"model": {}, "episodes": {}, "files": {}}
    for name, expected in _hashes(record).items():
        stem = name.partition(".")[0]
        groups[stem if stem in groups else "files"][name] = expected
    for group, hashes in groups.items():
        is_model = group == "model" and record.model is not None
        if hashes:
            states = {name: state_of_file(folder / name, expected) for name, expected in hashes.items()}
            check = _describe_files(group, states)
            yield _check_model(path, record) if is_model and check.ok else check
        elif is_model:
            yield _check_early_model(path, record)


def _hashes(record: RunRecord) -> Mapping[str, str]:
    """The hashes of files that a record has; an early one has that of the episodes alone."""
    early = {} if record.episodes is None else {Path(record.episodes.file).name: record.episodes.sha256}
    return {Path(name).name: expected for name, expected in (record.files or early).items()}


def _describe_files(group: str, states: Mapping[str, str]) -> RecordCheck:
    by_state: dict[str, list[str]] = {}
    for name, state in states.items():
        by_state.setdefault(state, []).append(name)
    if set(by_state) == {"as recorded"}:
        return RecordCheck(group, True, f"{', '.join(states)}: SHA-256 as recorded")
    ok = None if set(by_state) <= {"as recorded", "missing"} else False
    return RecordCheck(group, ok, "; ".join(f"{', '.join(names)}: {state}" for state, names in by_state.items()))


def _check_model(path: Path, record: RunRecord) -> RecordCheck:
    """Check that the model is readable and that of the run."""
    try:
        model = load_model(path)
    except ConfigError as error:
        return RecordCheck("model", False, _sentence(error))
    if (model.spec.hash, model.iteration) != (record.spec_hash, record.selected_iteration):
        return RecordCheck("model", False, f"it is that of another run, or of another iteration ({model.iteration})")
    if not record.files:
        return RecordCheck(
            "model", True, f"its tensors are those that model.json names; the SHA-256 of that is {EARLY}"
        )
    return RecordCheck("model", True, f"of iteration {model.iteration}; SHA-256 of its files as recorded")


def _check_early_model(path: Path, record: RunRecord) -> RecordCheck:
    """Check a model whose record has no hash of it: model.json has that of the tensors."""
    if not (path.parent / str(record.model)).exists():
        return RecordCheck("model", None, "missing")
    check = _check_model(path, record)
    result = f"its tensors are those that model.json names; the SHA-256 of that is {EARLY}"
    return RecordCheck("model", None, result) if check.ok else check


def _check_checkpoint(path: Path, record: RunRecord) -> Iterator[RecordCheck]:
    """Read the checkpoint of a run that has not finished; it has a checksum of its own."""
    if record.checkpoint is None:
        return
    checkpoint, notices = CheckpointFolder(run_folder(path, record)).read()
    if notices:
        yield RecordCheck("checkpoint", False, " ".join(notices))
    elif checkpoint is None:
        yield RecordCheck("checkpoint", None, "missing")
    else:
        iteration = checkpoint.content["progress"]["iteration"]
        yield RecordCheck("checkpoint", True, f"of iteration {iteration}; its checksums are right")


def _check_hashes(name: str, recorded: DataFacts, here: DataFacts) -> RecordCheck:
    splits = recorded.split_hashes.keys() | here.split_hashes.keys()
    other = [split for split in splits if recorded.split_hashes.get(split) != here.split_hashes.get(split)]
    if not other and recorded.content_hash == here.content_hash:
        return RecordCheck("data", True, f"{name}: the hashes of the data and of {len(splits)} splits are as recorded")
    hashes = f"{recorded.content_hash[:12]} recorded, {here.content_hash[:12]} here"
    where = f"; in: {', '.join(sorted(other))}" if other else ""
    return RecordCheck("data", False, f"{name}: the data are others than those of the run ({hashes}{where})")


def _check_scores(scores: list[RepeatedScore], episodes: str, changes: list[str]) -> RecordCheck:
    """Judge scores that were computed again, in an environment that has changed so since the run."""
    different = [score for score in scores if score.difference]
    since = f"; since the run: {', '.join(changes)}" if changes else ""
    if not different:
        return RecordCheck("test", True, f"{episodes} computed again: {len(scores):,} scores, all equal{since}", True)
    worst = max(different, key=lambda score: score.difference)
    count = len({score.episode for score in different})
    text = (
        f"{episodes} computed again: {count} differ{'s' * (count == 1)} (largest difference {worst.difference:.3g}, in "
        f"episode {worst.episode}: {worst.where}: {worst.recorded} recorded, {worst.computed} now)"
    )
    if changes:
        return RecordCheck("test", None, f"{text}; that may come from what has changed: {', '.join(changes)}", True)
    return RecordCheck("test", False, f"{text}; software and machine are those of the run", True)


def _sentence(error: BaseException) -> str:
    text = str(error) if isinstance(error, MamlbenchError) else describe_error(error)
    return " ".join(text.split()).rstrip(".")

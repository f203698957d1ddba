"""Runs one trial: trains and validates like any run, and ends before the test."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mamlbench.api import Emit
from mamlbench.engine import keep_memory
from mamlbench.errors import DivergedError, MamlbenchError, describe_error
from mamlbench.interrupts import check_interrupt, deferred, handled, interrupted, is_interrupt
from mamlbench.plugin import Plugins
from mamlbench.record import Environment, utc_now
from mamlbench.record.tuning_study import TrialStatus, TuningTrial
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.checkpoint_folder import Checkpoint, CheckpointFolder
from mamlbench.runner.checkpointer import Checkpointer
from mamlbench.runner.execute import failures_named
from mamlbench.runner.isolation import isolated, seed_generators
from mamlbench.runner.meter import Meter
from mamlbench.runner.train import TrainingLoop
from mamlbench.runner.tuning.sealed_split import SealedSplit


class TrialRunner:
    """Runs the trials of a study in this process.

    Args:
        plugins: the loaded plugins.
        folders: folders of data and of prepared data.
        environment: of this process; a trial goes on from its checkpoint in the same one only.
        emit: called with the name of an event hook and its arguments.
    """

    def __init__(self, plugins: Plugins, folders: Folders, environment: Environment, emit: Emit) -> None:
        self.plugins, self.folders, self.environment, self.emit = plugins, folders, environment, emit

    def run(self, spec: RunSpec, number: int, options: dict[str, Any], folder: Path, engine: str | None) -> TuningTrial:
        """Train and validate; return the trial, however it ended.

        Args:
            spec: the run, with the options.
            number: of the trial.
            options: those of the search space.
            folder: for its checkpoints; removed at the end.
            engine: as all trials of the study are computed; None: as the spec says.

        Raises KeyboardInterrupt if it is interrupted, and a MamlbenchError if it cannot begin.
        """
        started = utc_now()
        with handled(), deferred(), isolated(spec), failures_named(self.plugins):
            keep_memory()
            loop, earlier = self._build(spec, folder, engine)
            status, reason = self._train(loop, earlier)
        shutil.rmtree(folder, ignore_errors=True)
        measured = loop.meter.elapsed()
        progress = loop.progress
        metric = loop.experiment.metrics[0]
        return TuningTrial(
            trial=number,
            options=options,
            metric=metric.name,
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            status=status,
            score=progress.best_score if status == "finished" else None,
            iteration=progress.best_iteration if status == "finished" else None,
            reason=reason,
            validations={
                point.iteration: point.validation[metric.name] for point in progress.curve if point.validation
            },
            engine=loop.experiment.choice.engine.name,
            wall_seconds=round(measured.wall, 2),
            device_seconds=round(measured.device, 2),
            started=started,
            data_hash=loop.experiment.data_facts.content_hash,
        )

    def _build(self, spec: RunSpec, folder: Path, engine: str | None) -> tuple[TrainingLoop, Checkpoint | None]:
        """The training loop, and the checkpoint from which it goes on."""
        meter = Meter(torch.device(spec.device))
        about = {"spec_hash": spec.hash, "fingerprint": self.environment.fingerprint}
        earlier = _earlier(folder, about)
        engine = earlier.about["engine"] if earlier else engine
        with meter.segment("data"):
            dataset = load_dataset(spec, self.plugins, self.folders, partial(self._prepare, spec), training=True)
            dataset.splits = {**dataset.splits, "test": SealedSplit(dataset.splits["test"])}
        with meter.segment("train"):
            cache = self.folders.cache
            experiment = build_experiment(
                spec, self.plugins, dataset, cache, on_trial=check_interrupt_at, engine=engine
            )
        folder.mkdir(parents=True, exist_ok=True)
        about = earlier.about if earlier else {**about, "engine": experiment.choice.engine.name}
        checkpointer = Checkpointer(folder, meter, about, seconds=spec.training.checkpoint_seconds)
        seed_generators(spec)
        return TrainingLoop(experiment, meter, partial(self.emit, spec=spec), checkpointer), earlier

    def _train(self, loop: TrainingLoop, earlier: Checkpoint | None) -> tuple[TrialStatus, str]:
        try:
            loop.train(earlier)
        except BaseException as error:  # a plugin may raise anything, or exit; the trial counts
            if is_interrupt(error) or interrupted():  # torch turns an interrupt in some operations into an error
                raise KeyboardInterrupt from error
            if isinstance(error, DivergedError):
                return "diverged", str(error)
            if isinstance(error, MamlbenchError):
                raise
            blame = self.plugins.blame(error)
            return "failed", f"{describe_error(error)} (at iteration {loop.progress.iteration}{blame and f', {blame}'})"
        return "finished", ""

    def _prepare(self, spec: RunSpec, title: str, done: int, total: int) -> None:
        check_interrupt()
        self.emit("mamlbench_preparing", spec=spec, title=title, done=done, total=total)


def _earlier(folder: Path, about: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint of a trial that was killed; None if there is none, or the spec or the environment is another."""
    checkpoint, _ = CheckpointFolder(folder).read()
    return checkpoint if checkpoint and about.items() <= checkpoint.about.items() else None


def check_interrupt_at(engine: str, seconds: float | None) -> None:
    """Raise KeyboardInterrupt between the engines that are tried, if one was asked for."""
    check_interrupt()

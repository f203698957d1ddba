"""The training loop: train, validate, keep the best checkpoint, test it.

What the harness adds to a step takes microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamlbench.api import Emit
from mamlbench.errors import DivergedError
from mamlbench.record import CurvePoint, EpisodeFile, Evaluation, Segment
from mamlbench.record.episode_file import write_episodes
from mamlbench.runner.build import Experiment
from mamlbench.runner.checkpoints import CHECKPOINT, MODEL, State, clone, save_state
from mamlbench.runner.divergence import DivergenceGuard
from mamlbench.runner.evaluate import episode_interval, make_evaluation
from mamlbench.runner.meter import Meter
from mamlbench.runner.sample_episodes import save_samples
from mamlbench.runner.scoring import Scores, score_episodes, score_test


@dataclass
class RunProgress:
    """What a run has achieved so far: at any moment, the results of its record."""

    iteration: int = 0
    examples: int = 0
    warmup: Segment = field(default_factory=Segment)
    curve: list[CurvePoint] = field(default_factory=list)
    best_score: float | None = None
    best_state: State | None = None
    best_iteration: int | None = None
    seconds_to_target: float | None = None
    checkpoint: str | None = None
    model: str | None = None
    test: Evaluation | None = None
    episodes: EpisodeFile | None = None
    problems: list[str] = field(default_factory=list)
    """Errors that did not end the run."""
    skipped_updates: list[int] = field(default_factory=list)
    """Iterations, counted from 1, whose update was not finite and was left out."""
    skipped_validations: list[int] = field(default_factory=list)
    """Iterations whose validation was not finite and selected nothing."""


class TrainingLoop:
    """The training and test of one run.

    Args:
        experiment: the run's parts.
        meter: its clocks.
        emit: called with the name of an event hook and its arguments.
        folder: where checkpoints and the model are written.
    """

    def __init__(self, experiment: Experiment, meter: Meter, emit: Emit, folder: Path) -> None:
        self.experiment = experiment
        self.spec = experiment.spec
        self.algorithm = experiment.algorithm
        self.meter = meter
        self.emit = emit
        self.folder = folder
        self.progress = RunProgress()
        self._initial = clone(self.algorithm.state())
        self.guard = DivergenceGuard(experiment, self._initial, self.progress.skipped_updates)

    def run(self) -> None:
        """Train with validations and checkpoints in between, then test the checkpoint that validation selected.

        Raises DivergedError if a number is not finite; the model that validation selected before is kept.
        """
        try:
            self._train()
        except DivergedError:
            if self.progress.best_state is not None:
                self._save_model()
            raise
        self._save_model()
        self._test()
        self._save_samples()

    def _train(self) -> None:
        training = self.spec.training
        self._checkpoint()
        self._train_block(min(1, training.iterations))
        self.progress.warmup = self.meter.seconds_in("train")
        while self.progress.iteration < training.iterations:
            self._train_block(self._iterations_to_next_stop())
            done = self.progress.iteration
            if done % training.validate_every == 0 or done == training.iterations:
                self._validate()
                self._checkpoint()
            elif training.checkpoint_every and done % training.checkpoint_every == 0:
                self._checkpoint()
        if self.progress.best_state is None:
            self._validate(last=True)

    def _iterations_to_next_stop(self) -> int:
        """Iterations until the next report, validation, checkpoint or the end, whichever comes first."""
        training, done = self.spec.training, self.progress.iteration
        strides = [training.log_every, training.validate_every, training.checkpoint_every or training.iterations]
        return min(*(stride - done % stride for stride in strides), training.iterations - done)

    def _train_block(self, iterations: int) -> None:
        """Train without waiting for the device in between, then report the mean loss."""
        if iterations == 0:
            return
        total_loss: Any = 0.0
        count = 0
        self.guard.begin_block()
        with self.meter.segment("train"):
            for iteration in range(self.progress.iteration, self.progress.iteration + iterations):
                with self.meter.segment("data"):
                    batch = self.experiment.training_batch(iteration)
                update = self.experiment.compute_update(iteration, batch)
                # sums over this process's tasks: an all-reduce over ranks would add them up here
                if self.guard.apply(iteration, batch, update):
                    total_loss = total_loss + update.loss
                    count += update.count
                self.progress.examples += _examples(batch)
                self.progress.iteration = iteration + 1
            self.meter.synchronize()
            self.guard.end_block()
            loss = float(total_loss) / count if count else None
        self._report(loss)

    def _report(self, loss: float | None) -> None:
        elapsed = self.meter.elapsed()
        self.progress.curve.append(
            CurvePoint(
                iteration=self.progress.iteration,
                wall_seconds=elapsed.wall,
                device_seconds=elapsed.device,
                loss=loss,
            )
        )
        if loss is None:  # every update was skipped
            return
        self.emit(
            "mamlbench_progress",
            step=self.progress.iteration,
            metrics={"loss": loss, "wall_seconds": elapsed.wall, "device_seconds": elapsed.device},
        )

    def _validate(self, *, last: bool = False) -> None:
        self.guard.check_state(self.progress.iteration)
        try:
            self._select()
        except DivergedError:
            if last or not self.guard.skips:
                raise
            self.progress.skipped_validations.append(self.progress.iteration)

    def _select(self) -> None:
        with self.meter.segment("evaluate"):
            protocol = self.spec.protocol.model_copy(update={"modes": self.spec.protocol.modes[:1]})
            scores = score_episodes(self.experiment, self.algorithm, "val", protocol, self.meter, every_step=False)
            means = {name: episode_interval(modes[protocol.modes[0]]).mean for name, modes in scores.final.items()}
        selecting = self.experiment.metrics[0]
        score, better = means[selecting.name], selecting.better
        if self.progress.best_score is None or better(score, self.progress.best_score):
            with self.meter.segment("checkpoint"):
                self.progress.best_state = clone(self.algorithm.state())
            self.progress.best_score, self.progress.best_iteration = score, self.progress.iteration
        elapsed = self.meter.elapsed()
        target = self.spec.training.target_score
        reached = target is not None and (score == target or better(score, target))
        if reached and self.progress.seconds_to_target is None:
            self.progress.seconds_to_target = elapsed.wall
        point = CurvePoint(
            iteration=self.progress.iteration,
            wall_seconds=elapsed.wall,
            device_seconds=elapsed.device,
            validation=means,
        )
        self.progress.curve.append(point)
        self._emit_scores("val", means)

    def _checkpoint(self) -> None:
        with self.meter.segment("checkpoint"):
            self.guard.check_state(self.progress.iteration)
            path = save_state(self.folder, CHECKPOINT, self.spec, self.progress.iteration, self.algorithm.state())
            self.progress.checkpoint = f"{self.folder.name}/{path.name}"

    def _save_model(self) -> None:
        with self.meter.segment("checkpoint"):
            state, iteration = self.progress.best_state, self.progress.best_iteration
            assert state is not None and iteration is not None
            path = save_state(self.folder, MODEL, self.spec, iteration, state)
            self.progress.model = f"{self.folder.name}/{path.name}"

    def _test(self) -> None:
        protocol = self.spec.protocol
        with self.meter.segment("evaluate"):
            assert self.progress.best_state is not None
            trained, untrained = score_test(
                self.experiment, protocol, self.meter, trained=self.progress.best_state, untrained=self._initial
            )
            test = self.progress.test = make_evaluation(self.experiment, "test", protocol, trained, untrained)
        with self.meter.segment("checkpoint"):
            self.progress.episodes = self._write_episodes(trained, untrained)
        first = protocol.modes[0]
        self._emit_scores("test", {name: result.modes[first].score.mean for name, result in test.metrics.items()})

    def _write_episodes(self, trained: Scores, untrained: Scores) -> EpisodeFile | None:
        """Keep more of each test episode than its scores; None if there is no more."""
        arrays = {}
        for when, scores in (("trained", trained), ("untrained", untrained)):
            for name, values in scores.details.items():
                arrays[f"{when}/{name}" if "/" in name else name] = values.numpy()
        return write_episodes(self.folder, arrays) if arrays else None

    def _save_samples(self) -> None:
        """Write sample episodes of the tested model for the HTML page; an error here does not fail the run."""
        try:
            save_samples(self.experiment, self.algorithm, self.folder)
        except Exception as error:  # a plugin's sampler or network may raise anything
            self.progress.problems.append(f"sample episodes: {type(error).__name__}: {error}")

    def _emit_scores(self, split: str, means: dict[str, float]) -> None:
        units = {metric.name: metric.unit for metric in self.experiment.metrics}
        self.emit("mamlbench_evaluated", step=self.progress.iteration, split=split, metrics=means, units=units)


def _examples(batch: Any) -> int:
    return batch.examples if hasattr(batch, "examples") else int(batch.y.shape[0])

"""The training loop: train, validate, keep the best checkpoint, test it.

What the harness adds to a step takes microseconds. A checkpoint holds all that the loop goes on from, so that a run in
several pieces gives the numbers of one in a single piece, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from mamlbench.api import Emit, OuterUpdate
from mamlbench.errors import DivergedError, RankLostError, describe_error
from mamlbench.interrupts import check_interrupt, is_interrupt
from mamlbench.record import CurvePoint, EpisodeFile, Evaluation, Segment
from mamlbench.record.episode_file import write_episodes
from mamlbench.runner.build import Experiment
from mamlbench.runner.checkpoint_folder import Checkpoint
from mamlbench.runner.checkpointer import Checkpointer, random_states, restore_random_states
from mamlbench.runner.checkpoints import State, clone, save_model
from mamlbench.runner.divergence import DivergenceGuard
from mamlbench.runner.evaluate import episode_interval, make_evaluation
from mamlbench.runner.meter import Clocks, Meter
from mamlbench.runner.ranks.shares import share_clocks, training_share, whole_update
from mamlbench.runner.sample_episodes import save_samples
from mamlbench.runner.scoring import Scores, score_episodes, score_test
from mamlbench.runner.tree_file import DamagedFileError


@dataclass
class RunProgress:
    """What a run has achieved so far: at any moment, the results of its record.

    All of it goes into every checkpoint, as JSON.
    """

    iteration: int = 0
    examples: int = 0
    warmup: Segment = field(default_factory=Segment)
    warmup_iterations: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    best_score: float | None = None
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
    notices: list[str] = field(default_factory=list)
    """What happened to the run and changes no number."""


PROGRESS = TypeAdapter(RunProgress)


class TrainingLoop:
    """The training and test of one run.

    Args:
        experiment: the run's parts.
        meter: its clocks.
        emit: called with the name of an event hook and its arguments.
        checkpointer: writes its checkpoints; other files go to the same folder.
    """

    def __init__(self, experiment: Experiment, meter: Meter, emit: Emit, checkpointer: Checkpointer) -> None:
        self.experiment = experiment
        self.spec = experiment.spec
        self.algorithm = experiment.algorithm
        self.ranks = experiment.ranks
        self.meter = meter
        self.emit = emit
        self.checkpointer = checkpointer
        self.folder = checkpointer.folder
        self.progress = RunProgress()
        self._best_state: State | None = None
        self._initial = clone(self.algorithm.state())
        self._loss: Any = 0.0  # sum since the last report: a tensor, which is not waited for
        self._count = 0
        self._earlier = Segment(), Segment()  # train and warm-up of earlier pieces
        self._is_warm = False
        self.guard = DivergenceGuard(experiment, self._initial, self.progress.skipped_updates)

    def run(self, earlier: Checkpoint | None = None) -> None:
        """Train with validations and checkpoints in between, then test the checkpoint that validation selected.

        Args:
            earlier: where to go on from; None: from the beginning.

        Raises DivergedError if a number is not finite; the model that validation selected before is kept.
        """
        try:
            self.train(earlier)
        except DivergedError:
            if self._best_state is not None:
                self._save_model()
            raise
        self._save_model()
        self._test()
        self._save_samples()

    def train(self, earlier: Checkpoint | None = None) -> None:
        """Train with validations and checkpoints in between; ``run`` without the model and the test.

        Raises DivergedError if a number is not finite.
        """
        self._begin(earlier)
        training = self.spec.training
        while self.progress.iteration < training.iterations:
            self._train_until(self._next_stop())
            done = self.progress.iteration
            validates = done % training.validate_every == 0 or done == training.iterations
            if validates:
                self._validate()
            stride = training.checkpoint_every
            asked = done == training.iterations or (stride and done % stride == 0)  # training is never repeated
            if asked or self.checkpointer.is_due(at_validation=validates):
                self._checkpoint()
        if self._best_state is None:
            self._validate(last=True)
            self._checkpoint()

    def notice(self, text: str) -> None:
        """Report to the listeners and the record what happened to the run and changes no number."""
        self.progress.notices.append(text)
        self.emit("mamlbench_notice", text=text)

    def _begin(self, earlier: Checkpoint | None) -> None:
        with self.meter.segment("checkpoint"):
            if earlier is None:
                self._attempt(lambda: self.checkpointer.keep_initial(self._initial), "the untrained network")
                if (trained := self.experiment.trained_on) is not None:
                    self._attempt(lambda: self.checkpointer.keep_hashes(trained), "the hashes of the training data")
            else:
                self._restore(earlier)
        if not self.ranks.alone:
            self._send_start()
        self._count_warmup()
        if earlier is None:
            if problem := self.experiment.padding_problem:
                self.notice(f"Tasks of each size are computed apart, since {problem}.")
            self._checkpoint()

    def _restore(self, earlier: Checkpoint) -> None:
        notices = self.progress.notices
        self.progress = PROGRESS.validate_python(earlier.content["progress"])
        self.progress.notices += notices
        self.progress.checkpoint = f"{self.folder.name}/{earlier.path.name}"
        clocks = Clocks.model_validate(earlier.content["clocks"])
        self._earlier = clocks.segments["train"], self.progress.warmup
        self.meter.add(clocks)
        try:
            self._initial = self.checkpointer.initial(self._initial, self.experiment.device)
        except (OSError, DamagedFileError) as error:
            self.notice(f"The untrained network of the beginning is lost ({error}): its scores are a new one's.")
        tree = earlier.tree(self.experiment.device)
        self.algorithm.load_state(tree["state"])
        if self.progress.best_iteration is not None:
            self._best_state = clone(tree["state"] if tree["best"] is None else tree["best"])
        self.guard.initial, self.guard.skipped = self._initial, self.progress.skipped_updates
        self._loss, self._count = tree["loss"]
        restore_random_states(tree["random"])

    def _send_start(self) -> None:
        """Send the other ranks where training begins; ``FollowingLoop`` receives it."""
        self.ranks.from_leader(
            {
                "progress": PROGRESS.dump_python(self.progress, mode="json"),
                "state": self.algorithm.state(),
                "best": self._best_state,
                "initial": self._initial,
                "loss": (self._loss, self._count),
                "random": random_states(),
            }
        )

    def _next_stop(self) -> int:
        """The iteration of the next report, validation, checkpoint or the end; the first reports by itself."""
        training, done = self.spec.training, self.progress.iteration
        if done == 0:
            return 1
        strides = [training.log_every, training.validate_every, training.checkpoint_every or training.iterations]
        return min(*(done + stride - done % stride for stride in strides), training.iterations)

    def _train_until(self, stop: int) -> None:
        """Train without waiting for the device in between, then report the mean loss."""
        self.guard.begin_block()
        with self.meter.segment("train"):
            for iteration in range(self.progress.iteration, stop):
                check_interrupt()
                if self._is_warm and self.ranks.alone and self.checkpointer.is_due():
                    self.guard.end_block()
                    self._checkpoint()
                    self.guard.begin_block()
                with self.meter.segment("data"):
                    batch, examples = training_share(self.experiment, iteration)
                update = self._update(iteration, batch)
                if self.guard.apply(iteration, batch, update):
                    self._loss = self._loss + update.loss
                    self._count += update.count
                self.progress.examples += examples
                self.progress.iteration = iteration + 1
                if not self._is_warm:
                    self._finish_warmup()
            self.meter.synchronize()
            self.guard.end_block()
            loss = float(self._loss) / self._count if self._count else None
            share_clocks(self.ranks, self.meter)
        self._loss, self._count = 0.0, 0
        self._report(loss)

    def _update(self, iteration: int, batch: Any) -> OuterUpdate:
        """The update of all ranks; what was trained so far is kept if one of them has ended."""
        try:
            return whole_update(self.experiment, iteration, batch)
        except RankLostError:
            self._checkpoint()
            raise

    def _finish_warmup(self) -> None:
        """Count this piece's first iteration as warm-up."""
        self.meter.synchronize()
        self._count_warmup()
        self.progress.warmup_iterations += 1
        self._is_warm = True

    def _count_warmup(self) -> None:
        train, warmup = self._earlier
        now = self.meter.seconds_in("train")
        self.progress.warmup = Segment(
            wall=warmup.wall + now.wall - train.wall, device=warmup.device + now.device - train.device
        )

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
            share_clocks(self.ranks, self.meter)
        selecting = self.experiment.metrics[0]
        score, better = means[selecting.name], selecting.better
        if self.progress.best_score is None or better(score, self.progress.best_score):
            with self.meter.segment("checkpoint"):
                self._best_state = clone(self.algorithm.state())
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
            self._attempt(self._write_checkpoint, "a checkpoint")

    def _write_checkpoint(self) -> None:
        is_best = self.progress.best_iteration == self.progress.iteration
        tree = {
            "state": self.algorithm.state(),
            "best": None if is_best else self._best_state,
            "loss": (self._loss, self._count),
        }
        path = self.checkpointer.write(PROGRESS.dump_python(self.progress, mode="json"), tree)
        self.progress.checkpoint = f"{self.folder.name}/{path.name}"

    def _attempt(self, write: Callable[[], None], what: str) -> None:
        """Write what the run can do without: a full disk does not end it."""
        try:
            write()
        except (OSError, DamagedFileError) as error:
            text = f"{what} could not be written: {error}"
            if text not in self.progress.problems:
                self.progress.problems.append(text)

    def _save_model(self) -> None:
        with self.meter.segment("checkpoint"):
            state, iteration = self._best_state, self.progress.best_iteration
            assert state is not None and iteration is not None
            self.checkpointer.check()
            path = save_model(
                self.folder,
                self.spec,
                iteration,
                state,
                self.checkpointer.training_data,
                inputs=self.checkpointer.inputs,
            )
            self.progress.model = f"{self.folder.name}/{path.name}"

    def _test(self) -> None:
        protocol = self.spec.protocol
        with self.meter.segment("evaluate"):
            assert self._best_state is not None
            initial = self._initial if self.experiment.learns else None
            trained, untrained = score_test(
                self.experiment, protocol, self.meter, trained=self._best_state, untrained=initial
            )
            test = self.progress.test = make_evaluation(self.experiment, "test", protocol, trained, untrained)
            share_clocks(self.ranks, self.meter)
        with self.meter.segment("checkpoint"):
            self.progress.episodes = self._write_episodes(trained, untrained)
        first = protocol.modes[0]
        self._emit_scores("test", {name: result.modes[first].score.mean for name, result in test.metrics.items()})

    def _write_episodes(self, trained: Scores, untrained: Scores | None) -> EpisodeFile | None:
        """Keep more of each test episode than its scores; None if there is no more."""
        arrays = {}
        for when, scores in (("trained", trained), ("untrained", untrained)):
            for name, values in () if scores is None else scores.details.items():
                arrays[f"{when}/{name}" if "/" in name else name] = values.numpy()
        return write_episodes(self.folder, arrays) if arrays else None

    def _save_samples(self) -> None:
        """Write sample episodes of the tested model for the HTML page; an error here does not fail the run."""
        try:
            save_samples(self.experiment, self.algorithm, self.folder)
        except BaseException as error:  # a plugin's sampler or network may raise anything, or exit
            if is_interrupt(error):
                raise
            self.progress.problems.append(f"sample episodes: {describe_error(error)}")

    def _emit_scores(self, split: str, means: dict[str, float]) -> None:
        units = {metric.name: metric.unit for metric in self.experiment.metrics}
        self.emit("mamlbench_evaluated", step=self.progress.iteration, split=split, metrics=means, units=units)

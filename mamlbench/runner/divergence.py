"""Finds numbers that are not finite, and says where they came from: iteration, task or episode, and likely setting.

Losses are looked at before their update is applied. On a GPU that would wait for the device at every iteration, so
there a block of iterations is checked at its end, and computed again from its first state if a loss was not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mamlbench.api import EpisodeBatch, Metric, OuterUpdate
from mamlbench.errors import DivergedError, RunFailedError
from mamlbench.runner.build import Experiment
from mamlbench.runner.checkpoints import State, clone
from mamlbench.runner.ranks.shares import training_share, whole_update
from mamlbench.runner.sized_tasks import SizedBatch

GROWN = 1e3
"""Parameters that are so many times as large as at the start point to the outer rate, smaller ones to the inner one."""

HUGE = 1e9
"""A score of outputs as large as this may overflow; one of smaller outputs that is not finite is the metric's fault."""

ROUNDING = 1e-4
"""So far a share may lie outside 0 to 1."""

MOST_SKIPPED = 100
"""With ``skip`` so many updates in a row end the run: nothing more is learned."""


@dataclass
class DivergenceGuard:
    """Looks at every update of one run.

    Args:
        experiment: the run's parts; their ``on_divergence`` decides what happens.
        initial: the state before training.
        skipped: iterations, counted from 1, whose update was left out; the guard adds to it.
    """

    experiment: Experiment
    initial: State
    skipped: list[int] = field(default_factory=list)
    _block: list[tuple[int, Tensor]] = field(default_factory=list)
    _block_state: State | None = None

    @property
    def skips(self) -> bool:
        """Whether an update that is not finite is left out."""
        return self.experiment.spec.training.on_divergence == "skip"

    @property
    def _checks_blocks(self) -> bool:
        return self.experiment.device.type != "cpu" and not self.skips

    def begin_block(self) -> None:
        """Call before a block of iterations."""
        if self._checks_blocks:
            self._block, self._block_state = [], clone(self.experiment.algorithm.state())

    def apply(self, iteration: int, batch: Any, update: OuterUpdate) -> bool:
        """Apply the update of a meta-iteration (0: the first), or skip it; return whether it was applied.

        Raises DivergedError, and applies nothing, if the loss is not finite and the run is to stop.
        """
        algorithm = self.experiment.algorithm
        if self.skips:
            return self._apply_or_skip(iteration, update)
        if self._checks_blocks:
            self._block.append((iteration, update.loss))
        elif not math.isfinite(update.loss):
            raise DivergedError(self._explain(iteration, batch, float(update.loss)))
        algorithm.apply(update)
        return True

    def end_block(self) -> None:
        """Call after a block of iterations. Raises DivergedError if a loss in it was not finite."""
        losses = [(iteration, float(loss)) for iteration, loss in self._block]
        bad = next(((iteration, loss) for iteration, loss in losses if not math.isfinite(loss)), None)
        if bad is None or self._block_state is None:
            return
        experiment, algorithm = self.experiment, self.experiment.algorithm
        algorithm.load_state(self._block_state)  # the losses after the first bad one say nothing
        for iteration in range(losses[0][0], bad[0]):
            batch, _ = training_share(experiment, iteration)
            algorithm.apply(whole_update(experiment, iteration, batch))
        raise DivergedError(self._explain(bad[0], experiment.training_batch(bad[0]), bad[1]))

    def check_state(self, iteration: int) -> None:
        """Raise DivergedError if the state after so many iterations is not finite: it must not become a checkpoint."""
        name = self._bad_tensor()
        if name is not None:
            raise DivergedError(f"'{name}' is not finite after iteration {iteration}: {self._suggest_for(name)}.")

    def _suggest_for(self, name: str) -> str:
        """What to change if a part of the state is not finite: a moment of an optimizer overflows with its gradient."""
        is_moment = name.startswith("outer") and all(map(_is_finite, self.experiment.algorithm.meta.values()))
        return suggest(
            self.experiment.spec.algorithm.options, "gradient" if is_moment and self._cause() == "inner" else "outer"
        )

    def _apply_or_skip(self, iteration: int, update: OuterUpdate) -> bool:
        algorithm = self.experiment.algorithm
        before = clone(algorithm.state())
        if math.isfinite(update.loss):
            algorithm.apply(update)
            if self._bad_tensor() is None:
                return True
            algorithm.load_state(before)
        self.skipped.append(iteration + 1)
        if self.skipped[-MOST_SKIPPED:] == [*range(iteration + 2 - MOST_SKIPPED, iteration + 2)]:
            raise DivergedError(
                f"{MOST_SKIPPED} updates in a row were not finite, the last at iteration {iteration + 1}: "
                f"{suggest(self.experiment.spec.algorithm.options, self._cause())}."
            )
        return False

    def _bad_tensor(self) -> str | None:
        """Name of a part of the state that is not finite, unless it was not before training either."""
        for name, value in self.experiment.algorithm.state().items():
            if not _is_finite(value) and _is_finite(self.initial.get(name)):
                return name
        return None

    def _explain(self, iteration: int, batch: Any, loss: float) -> str:
        if not self.experiment.ranks.alone:  # the batch is a part, and the task that is sought may be in another one
            batch = self.experiment.training_batch(iteration)
        name = self._bad_tensor()
        if name is not None:
            suggestion = self._suggest_for(name)
            return f"'{name}' is not finite after iteration {iteration}, and the next loss is {loss}: {suggestion}."
        where, bad_input = self._locate(iteration, batch)
        suggestion = bad_input or suggest(self.experiment.spec.algorithm.options, self._cause())
        return f"The training loss is {loss} at iteration {iteration + 1}{where}: {suggestion}."

    def _locate(self, iteration: int, batch: Any) -> tuple[str, str]:
        """The tasks whose loss is not finite, and what is wrong with their inputs, if that is the cause."""
        if isinstance(batch, SizedBatch):
            return f" (of {batch.tasks} tasks)", ""
        if not isinstance(batch, EpisodeBatch):
            return "", _bad_inputs(self.experiment, [batch.x, batch.y])
        tasks = [task for task in range(batch.tasks) if not self._loss_is_finite(iteration, one_task(batch, task))]
        if not tasks:
            return f" (of {batch.tasks} tasks)", ""
        first = one_task(batch, tasks[0])
        number = iteration * self.experiment.spec.training.meta_batch_size + tasks[0]
        others = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
        where = f", task {tasks[0] + 1}{others} of {batch.tasks} (training episode {number})"
        return where, _bad_inputs(self.experiment, [*first.support, *first.query])

    def _loss_is_finite(self, iteration: int, task: EpisodeBatch) -> bool:
        update = self.experiment.compute_update(iteration, task)
        return math.isfinite(update.loss) and all(map(_is_finite, update.sums.values()))

    def _cause(self) -> str:
        largest, before = (_largest(state.values()) for state in (self.experiment.algorithm.meta, self._initial_meta()))
        return "outer" if largest > GROWN * max(before, 1.0) else "inner"

    def _initial_meta(self) -> Mapping[str, Tensor]:
        return {name: value for name, value in self.initial.items() if name.startswith("meta")}


def one_task(batch: EpisodeBatch, task: int) -> EpisodeBatch:
    """One episode of a batch, as a batch."""
    part = slice(task, task + 1)
    support, query = (type(examples)(*(value[part] for value in examples)) for examples in batch[:2])
    return EpisodeBatch(support, query, batch.keys[part])


def suggest(options: Mapping[str, Any], cause: str) -> str:
    """Say which settings of an algorithm to change.

    ``cause`` is 'outer' (the outer update), 'inner' (adaptation to a task), or 'gradient' (that through adaptation).
    """
    rates = [name for name in options if name.endswith("_lr") and name.startswith("outer") == (cause == "outer")]
    if cause != "outer" and not rates:
        return suggest(options, "outer")
    names = " or ".join(f"{name} (now {options[name]:g})" for name in rates) or "learning rate"
    clip = ", or a clip" if cause != "inner" and "clip" in options and options["clip"] is None else ""
    return f"try a smaller {names}{clip}"


def diverged_tasks(outputs: Iterable[Tensor]) -> list[int]:
    """Return the tasks, as positions in T, that have an output ``[T, n, outputs]`` that is not finite."""
    finite = torch.stack([values.flatten(1).isfinite().all(1) for values in outputs]).all(0)  # [T]
    return [] if bool(finite.all()) else (~finite).nonzero().flatten().tolist()


def diverged_episode(experiment: Experiment, split: str, number: int, task: EpisodeBatch) -> DivergedError:
    """Make the error for an episode of validation or test whose predictions are not finite."""
    reason = _bad_inputs(experiment, [*task.support, *task.query]) or suggest(
        experiment.spec.algorithm.options, "inner"
    )
    return DivergedError(f"The predictions for {_NAMES[split]} episode {number} are not finite: {reason}.")


def check_scores(metric: Metric, scores: Tensor, outputs: Tensor, split: str, first: int) -> None:
    """Check the scores ``[T]`` of finite outputs ``[T, n, outputs]``; ``first`` is the number of the first episode.

    Raises DivergedError if outputs are so large that a score overflows, RunFailedError if a metric fails without that,
    or if a share is not between 0 and 1.
    """
    wrong = ~scores.isfinite()
    if metric.unit == "%":
        wrong |= (scores < -ROUNDING) | (scores > 1 + ROUNDING)
    bad = wrong.nonzero().flatten()
    if not len(bad):
        return
    largest = float(outputs[bad[0]].abs().max())
    message = (
        f"The {metric.name} of {_NAMES[split]} episode {first + int(bad[0])} is {float(scores[bad[0]])}, and its "
        f"largest output {largest:g}"
    )
    if largest >= HUGE:
        raise DivergedError(f"{message}: try smaller learning rates.")
    raise RunFailedError(f"{message}: this is a mistake of the metric. Leave it out, or correct it.")


_NAMES = {"val": "validation", "test": "test", "train": "training"}


def _bad_inputs(experiment: Experiment, inputs: Sequence[Tensor]) -> str:
    if all(map(_is_finite, inputs)):
        return ""
    name = experiment.spec.dataset.name
    return f"its examples are not finite, so look at the data set '{name}' ('mamlbench check' does)"


def _is_finite(value: Tensor | None) -> bool:
    return value is None or not value.is_floating_point() or bool(value.isfinite().all())


def _largest(values: Iterable[Tensor]) -> float:
    return max((float(value.abs().max()) for value in values if value.numel()), default=0.0)

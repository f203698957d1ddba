"""Divides the work of a run among its ranks: tasks of a meta-batch by their number, test episodes by batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from mamlbench.api import Examples, Model, OuterUpdate, Parameters
from mamlbench.errors import ConfigError, MamlbenchError
from mamlbench.nn.batch_norm import BatchNorm
from mamlbench.runner.meter import Meter
from mamlbench.runner.ranks.rank_group import Ranks
from mamlbench.runner.sized_tasks import by_size, of_meta_batch

if TYPE_CHECKING:
    from mamlbench.runner.build import Experiment

Item = TypeVar("Item")
Result = TypeVar("Result")


def refuse_unshardable(experiment: Experiment) -> None:
    """Raise ConfigError if the updates of parts of a batch do not add up to that of the whole."""
    algorithm, name = experiment.algorithm, experiment.spec.algorithm.name
    if experiment.ranks.alone or not experiment.spec.training.iterations:
        return
    reason = ""
    if not algorithm.additive:
        reason = "with these options its tasks depend on each other"
    elif algorithm.trains_on == "examples" and (layer := _tying_layer(algorithm)):
        reason = f"{layer} ties the examples of its minibatches together"
    if reason:
        raise ConfigError(
            f"'{name}' cannot be trained by several ranks: {reason}. Run it in one process, without torchrun "
            "and --workers."
        )


def _tying_layer(algorithm: Any) -> str:
    """What makes the loss of an example depend on the rest of its minibatch, or on its position there."""
    networks = [value.network for value in vars(algorithm).values() if isinstance(value, Model)]
    for module in (module for network in networks for module in network.modules()):
        if isinstance(module, BatchNorm | torch.nn.modules.batchnorm._BatchNorm):
            return "batch norm"
    models = [value for value in vars(algorithm).values() if isinstance(value, Model)]
    return "dropout" if any(model.noisy for model in models) else ""


def training_share(experiment: Experiment, iteration: int) -> tuple[Any, int]:
    """Draw this rank's part of the batch of a meta-iteration, and count the examples of the whole batch.

    A rank without a part gets one task: its update shows what the others' look like, and is counted as zero.
    """
    if experiment.ranks.alone:
        batch = experiment.training_batch(iteration)
        return batch, _examples(batch)
    training = experiment.spec.training
    if experiment.algorithm.trains_on == "examples":
        whole = experiment.training_batch(iteration)
        part = experiment.ranks.part_of(whole.y.shape[0]) or range(1)
        return Examples(*(value[part.start : part.stop] for value in whole)), _examples(whole)
    total = training.meta_batch_size
    part = experiment.ranks.part_of(total) or range(1)
    first = iteration * total
    if experiment.mixes_sizes:
        sizes = by_size(experiment.sampler, "train", training, range(first, first + total))
        examples = sum(len(numbers) * shape.ways * (shape.shots + shape.queries) for shape, numbers in sizes)
        return experiment.sized_batch(range(first + part.start, first + part.stop), training), examples
    batch = experiment.episodes("train", first + part.start, len(part), of_meta_batch(experiment.spec, iteration))
    return batch, _examples(batch) // len(part) * total


def whole_update(experiment: Experiment, iteration: int, batch: Any) -> OuterUpdate:
    """Compute the update of this rank's part of a batch, from ``training_share``, and add those of all ranks."""
    update = experiment.compute_update(iteration, batch)
    if experiment.ranks.alone:
        return update
    if not experiment.ranks.part_of(experiment.spec.training.meta_batch_size):
        zeros = Parameters({name: torch.zeros_like(value) for name, value in update.sums.items()})
        update = OuterUpdate(zeros, torch.zeros_like(update.loss), 0, update.carry)
    return experiment.ranks.add_up(update)


def map_over_ranks(ranks: Ranks, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return ``function(item)`` of every item, each computed by one rank.

    Raises on every rank what the first item raises that raises a MamlbenchError.
    """
    if ranks.alone:
        return [function(item) for item in items]
    results: dict[int, Result] = {}
    failed: dict[int, MamlbenchError] = {}
    for index in range(ranks.rank, len(items), ranks.count):
        try:
            results[index] = function(items[index])
        except MamlbenchError as error:
            failed[index] = error
            break
    for part, errors in ranks.gather((results, failed)):
        results |= part
        failed |= errors
    if failed:
        raise failed[min(failed)]
    return [results[index] for index in range(len(items))]


def share_clocks(ranks: Ranks, meter: Meter) -> None:
    """Let every rank count the device seconds of the others, too, and know the largest of their peaks of memory."""
    if ranks.alone:
        return
    parts = ranks.gather((meter.own_device_seconds(), meter.own_peak()))
    others = [part for rank, part in enumerate(parts) if rank != ranks.rank]
    meter.count_others([seconds for seconds, _ in others], [peak for _, peak in others])


def _examples(batch: Any) -> int:
    return batch.examples if hasattr(batch, "examples") else int(batch.y.shape[0])

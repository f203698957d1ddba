"""Reference loops over tasks that use only torch's modules, optimizers and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mamlbench.api import Algorithm, EpisodeBatch, Examples

Loss = Callable[[Tensor, Tensor], Tensor]


def reptile_updates(
    network: nn.Module, loss: Loss, batch: EpisodeBatch, minibatches: list[Examples], inner_lr: float
) -> dict[str, Tensor]:
    """Compute Reptile's parameter changes, summed over the tasks, with new optimizer moments for each task.

    Args:
        network: the initialization.
        loss: mean loss of outputs and targets.
        batch: the tasks.
        minibatches: the examples of each inner step for all tasks, x ``[T, n, ...]``.
        inner_lr: learning rate of the inner Adam, whose beta1 is 0.
    """
    changes = {name: torch.zeros_like(value) for name, value in network.named_parameters()}
    for task in range(batch.tasks):
        weights = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
        inner = torch.optim.Adam(weights.values(), inner_lr, betas=(0.0, 0.999))
        for examples in minibatches:
            inner.zero_grad()
            loss(functional_call(network, weights, (examples.x[task],)), examples.y[task]).backward()  # type: ignore[no-untyped-call]
            inner.step()
        for name, start in network.named_parameters():
            changes[name] += weights[name].detach() - start.detach()
    return changes


def predictions(network: nn.Module, loss: Loss, batch: EpisodeBatch, inner_lr: float, steps: int) -> Tensor:
    """Fine-tune by gradient descent on each support set, then predict its queries: ``[T, n, outputs]``."""
    outputs = []
    for task in range(batch.tasks):
        weights = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
        inner = torch.optim.SGD(weights.values(), inner_lr)
        for _ in range(steps):
            inner.zero_grad()
            loss(functional_call(network, weights, (batch.support.x[task],)), batch.support.y[task]).backward()  # type: ignore[no-untyped-call]
            inner.step()
        with torch.no_grad():
            outputs.append(functional_call(network, weights, (batch.query.x[task],)))
    return torch.stack(outputs)


def minibatches(algorithm: Algorithm, batch: EpisodeBatch, steps: int) -> list[Any]:
    """Return the examples of each inner step in training."""
    return [algorithm.minibatch(batch.support, batch.keys, step, training=True) for step in range(steps)]  # type: ignore[attr-defined]

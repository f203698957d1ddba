"""The same mathematics as anybody would write it: torch's own modules, optimizers and autograd, task after task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mamlbench.api import Algorithm, EpisodeBatch, Examples

Loss = Callable[[Tensor, Tensor], Tensor]


def reptile_moves(
    network: nn.Module, loss: Loss, batch: EpisodeBatch, minibatches: list[Examples], rate: float
) -> dict[str, Tensor]:
    """Reptile with fresh moments: the moves of the parameters, summed over the tasks.

    Args:
        network: the initialization.
        loss: mean loss of outputs and targets.
        batch: the tasks.
        minibatches: what each inner step sees of all tasks, x ``[T, n, ...]``.
        rate: of the inner Adam, whose beta1 is 0.
    """
    moves = {name: torch.zeros_like(value) for name, value in network.named_parameters()}
    for task in range(batch.tasks):
        weights = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
        inner = torch.optim.Adam(weights.values(), rate, betas=(0.0, 0.999))
        for seen in minibatches:
            inner.zero_grad()
            loss(functional_call(network, weights, (seen.x[task],)), seen.y[task]).backward()  # type: ignore[no-untyped-call]
            inner.step()
        for name, start in network.named_parameters():
            moves[name] += weights[name].detach() - start.detach()
    return moves


def predictions(network: nn.Module, loss: Loss, batch: EpisodeBatch, rate: float, steps: int) -> Tensor:
    """Fine-tune by gradient descent on each support set, then predict its queries: ``[T, n, outputs]``."""
    outputs = []
    for task in range(batch.tasks):
        weights = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
        inner = torch.optim.SGD(weights.values(), rate)
        for _ in range(steps):
            inner.zero_grad()
            loss(functional_call(network, weights, (batch.support.x[task],)), batch.support.y[task]).backward()  # type: ignore[no-untyped-call]
            inner.step()
        with torch.no_grad():
            outputs.append(functional_call(network, weights, (batch.query.x[task],)))
    return torch.stack(outputs)


def minibatches(algorithm: Algorithm, batch: EpisodeBatch, steps: int) -> list[Any]:
    """What each inner step of a training sees."""
    return [algorithm.minibatch(batch.support, batch.keys, step, training=True) for step in range(steps)]  # type: ignore[attr-defined]

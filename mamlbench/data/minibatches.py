"""Minibatch orders inside a task, keyed by the episode."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mamlbench.data.counter_rng import hash64, sample_without_replacement
from mamlbench.data.episodes import Examples


def minibatch_order(keys: Tensor, examples: int, size: int, step: int) -> Tensor:
    """Which of ``examples`` belong to minibatch ``step`` (0: the first): keys int64 ``[T]`` to int64 ``[T, size]``.

    The examples are shuffled, handed out in turn and shuffled again when they are used up (a minibatch may lie
    across two shuffles), as the original Reptile code does. Depends on the episode's key alone.
    """
    host = keys.cpu().numpy().view(np.uint64)
    places = np.arange(step * size, (step + 1) * size)
    rounds = np.unique(places // examples)
    orders = np.stack(
        [sample_without_replacement(hash64(host, int(number)), examples, examples) for number in rounds]
    )  # [rounds, T, n]
    picked = orders[places // examples - rounds[0], :, places % examples]  # [size, T]
    return torch.from_numpy(np.ascontiguousarray(picked.T)).to(keys.device)


def gather(examples: Examples, order: Tensor) -> Examples:
    """Gather minibatches: examples ``[T, n, ...]`` and order ``[T, size]`` to ``[T, size, ...]``."""
    tasks = torch.arange(order.shape[0], device=order.device)[:, None]
    return Examples(examples.x[tasks, order], examples.y[tasks, order])

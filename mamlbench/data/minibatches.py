"""Order of minibatches inside a task, as a function of the episode's key."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mamlbench.data.counter_rng import hash64, sample_without_replacement
from mamlbench.data.episodes import Examples


def minibatch_order(keys: Tensor, examples: int, size: int, step: int) -> Tensor:
    """Choose the examples of minibatch ``step``, counted from 0: keys int64 ``[T]`` to int64 ``[T, size]``.

    The examples are shuffled, used in turn, and shuffled again when they are used up, as the original Reptile code
    does; a minibatch may span two shuffles. The order depends on the episode's key alone.
    """
    host_keys = keys.cpu().numpy().view(np.uint64)
    positions = np.arange(step * size, (step + 1) * size)
    epochs = np.unique(positions // examples)
    orders = np.stack(
        [sample_without_replacement(hash64(host_keys, int(epoch)), examples, examples) for epoch in epochs]
    )  # [epochs, T, n]
    minibatch = orders[positions // examples - epochs[0], :, positions % examples]  # [size, T]
    return torch.from_numpy(np.ascontiguousarray(minibatch.T)).to(keys.device)


def gather(examples: Examples, order: Tensor) -> Examples:
    """Gather a minibatch of each task: examples ``[T, n, ...]`` and order int64 ``[T, size]`` to ``[T, size, ...]``."""
    tasks = torch.arange(order.shape[0], device=order.device)[:, None]
    return Examples(examples.x[tasks, order], examples.y[tasks, order])

"""Adaptation to shuffled episodes, so that no method can read a label off a position.

Episodes are drawn class after class. A method that answers by the position of a query would be right every time; here
it is at chance, because support and query examples come to it in an order that depends on the episode's key alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import AdaptedTasks, Algorithm, EpisodeBatch, gather
from mamlbench.data.counter_rng import hash64, sample_without_replacement, seed_key

SUPPORT, QUERY = seed_key("order of the support set"), seed_key("order of the query set")


@dataclass(frozen=True)
class ShuffledTasks:
    """Adapted tasks with their queries in an order without meaning.

    Args:
        adapted: the tasks.
        x: the query inputs ``[T, n, *input_shape]``, shuffled.
        positions: int64 ``[T, n]``, where each query example of the episode stands in ``x``.
    """

    adapted: AdaptedTasks[Any]
    x: Tensor
    positions: Tensor

    def predict(self, mode: str) -> Tensor:
        """Predict for the queries, in the order of the episode: outputs ``[T, n, outputs]``."""
        # with the given statistics of 'running' all modes are equal, and this one takes a single pass
        predicted = "transductive" if mode == "running" else mode
        outputs = self.adapted.predict(self.x, predicted)  # type: ignore[arg-type]
        return outputs.gather(1, self.positions[..., None].expand_as(outputs))


def adaptation_to_shuffled(algorithm: Algorithm, batch: EpisodeBatch) -> Iterator[ShuffledTasks]:
    """Yield the tasks before the first step and after each, adapted to a shuffled support set."""
    support = gather(batch.support, _order(batch.keys, SUPPORT, batch.support.y.shape[1]))
    order = _order(batch.keys, QUERY, batch.query.y.shape[1])  # [T, n]
    x = gather(batch.query, order).x
    for adapted in algorithm.adaptation(support, batch.keys):
        yield ShuffledTasks(adapted, x, order.argsort(-1))


def _order(keys: Tensor, purpose: np.uint64, count: int) -> Tensor:
    """A permutation of ``range(count)`` for each key ``[T]``: int64 ``[T, count]``."""
    streams = hash64(keys.cpu().numpy().view(np.uint64), int(purpose))
    return torch.from_numpy(sample_without_replacement(streams, count, count)).to(keys.device)

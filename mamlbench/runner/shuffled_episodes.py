"""Adaptation to shuffled episodes, so that no method can read a label off a position.

Episodes are drawn class after class. A method that answers by the position of a query would be right every time; here
it is at chance, because support and query examples come to it in an order that depends on the episode's key alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import AdaptedTasks, Algorithm, EpisodeBatch, Examples, gather
from mamlbench.data.counter_rng import hash64, sample_without_replacement, seed_key
from mamlbench.nn.padding import filled_up

SUPPORT, QUERY = seed_key("order of the support set"), seed_key("order of the query set")


class ShuffledEpisodes(NamedTuple):
    """Episodes of one size in an order without meaning."""

    support: Examples
    query: Examples
    positions: Tensor  # int64 [T, n], where each query example of the episode stands in ``query``


def ways_of(batch: EpisodeBatch) -> int:
    """Number of classes of each episode, all of one size; 0 without classes."""
    y = batch.query.y
    return 0 if y.is_floating_point() else int(y.max()) + 1


def shuffled(batch: EpisodeBatch) -> ShuffledEpisodes:
    """Shuffle support and query examples of T episodes, by their keys."""
    order = _order(batch.keys, QUERY, batch.query.y.shape[1])  # [T, n]
    support = gather(batch.support, _order(batch.keys, SUPPORT, batch.support.y.shape[1]))
    return ShuffledEpisodes(support, gather(batch.query, order), order.argsort(-1))


@dataclass(frozen=True)
class ShuffledTasks:
    """Adapted tasks with their queries in an order without meaning.

    Args:
        adapted: the tasks, those of all parts.
        x: the query inputs ``[T, n, *input_shape]``, shuffled; those of smaller parts are filled up.
        positions: of each part int64 ``[T, n]``, where each query example of the episode stands in ``x``.
    """

    adapted: AdaptedTasks[Any]
    x: Tensor
    positions: Sequence[Tensor]

    def predict(self, mode: str) -> list[Tensor]:
        """Predict for the queries of each part, in the order of its episodes: outputs ``[T, n, outputs]``."""
        # with the given statistics of 'running' all modes are equal, and this one takes a single pass
        predicted = "transductive" if mode == "running" else mode
        outputs = self.adapted.predict(self.x, predicted)  # type: ignore[arg-type]
        of_parts = torch.split(outputs, [len(positions) for positions in self.positions])
        return [
            values.gather(1, positions[..., None].expand(-1, -1, values.shape[-1]))
            for values, positions in zip(of_parts, self.positions, strict=True)
        ]


def adaptation_to_shuffled(algorithm: Algorithm, parts: Sequence[EpisodeBatch]) -> Iterator[ShuffledTasks]:
    """Yield the tasks before the first step and after each, adapted to shuffled support sets.

    Args:
        algorithm: the method.
        parts: episodes, each part of one size; those of several sizes are filled up to the largest.
    """
    episodes = [shuffled(part) for part in parts]
    ways = [ways_of(part) for part in parts]
    support = filled_up([part.support for part in episodes], ways)
    x = filled_up([part.query for part in episodes], ways).x
    keys = torch.cat([part.keys for part in parts])
    for adapted in algorithm.adaptation(support, keys):
        yield ShuffledTasks(adapted, x, [part.positions for part in episodes])


def _order(keys: Tensor, purpose: np.uint64, count: int) -> Tensor:
    """A permutation of ``range(count)`` for each key ``[T]``: int64 ``[T, count]``."""
    streams = hash64(keys.cpu().numpy().view(np.uint64), int(purpose))
    return torch.from_numpy(sample_without_replacement(streams, count, count)).to(keys.device)

"""Task samplers: choose the episodes of each split, and their order."""

from __future__ import annotations

import math
from abc import ABC
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mamlbench.data.counter_rng import Keys, hash64, seed_key
from mamlbench.data.dataset import TaskSplit
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.run_spec.options import Options

DRAWN_AT_ONCE = 16
"""Minibatches of labeled examples that are drawn in one go: small ones cost as much to begin as to draw."""

DRAWN_BYTES = 4 * 2**20
"""Largest size of the minibatches that are drawn in one go, so that they stay in a CPU's cache."""


class TaskSampler(ABC):  # noqa: B024 (no abstract method: the default draws fresh episodes)
    """Draws fresh episodes: episode i is a pure function of (split, seed, i).

    Args:
        splits: the splits by name, on the device of the run.
        ways: classes per episode.
        episode_seed: seed of validation and test episodes, the same for all algorithms and training seeds.
        training_seed: seed of training episodes, the same for all algorithms.
        options: of the class ``Options``.

    Attributes:
        keeps_support: whether the support of a training episode stays the same if more queries are requested; that of
            a validation or test episode must stay the same in any case.
    """

    Options: ClassVar[type[Options]] = Options
    keeps_support: ClassVar[bool] = True

    def __init__(
        self, splits: dict[str, TaskSplit], ways: int, *, episode_seed: int, training_seed: int, options: Any
    ) -> None:
        self.splits = splits
        self.ways = ways
        self.options = options
        self._seeds = {
            split: seed_key("episodes", split, training_seed if split == "train" else episode_seed) for split in splits
        }
        self._drawn: dict[tuple[str, int, int], Examples] = {}  # (split, index, count): drawn, not handed out yet

    def key_index(self, split: str, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the task number at each position of a split: int64 ``[n]`` to ``[n]``; a fixed set repeats tasks."""
        return index

    def keys(self, split: str, first: int, count: int) -> Keys:
        """Return the keys of the episodes ``first`` to ``first + count - 1``: uint64 ``[count]``."""
        return hash64(self._seeds[split], self.key_index(split, np.arange(first, first + count)))

    def episodes(
        self, split: str, first: int, count: int, *, shots: int, queries: int, ways: int | None = None
    ) -> EpisodeBatch:
        """Draw the episodes ``first`` to ``first + count - 1``: support x ``[count, ways * shots, *input_shape]``.

        Args:
            split: 'train', 'val' or 'test'.
            first: number of the first episode.
            count: number of episodes.
            shots: support examples per class.
            queries: query examples per class.
            ways: classes per episode; None: those that the sampler was made with.

        Raises ConfigError if the split has too few classes or examples.
        """
        return self.splits[split].episodes(self.keys(split, first, count), ways or self.ways, shots, queries)

    def labeled_examples(self, split: str, index: int, count: int) -> Examples:
        """Draw minibatch ``index`` of labeled examples, for pretraining: x ``[count, *input_shape]``.

        The minibatches that follow are drawn along with it, as they would be one by one.
        """
        asked = (split, index, count)
        if asked not in self._drawn:
            size = 4 * count * math.prod(self.splits[split].input_shape)  # bytes of a minibatch
            indices = np.arange(index, index + min(DRAWN_AT_ONCE, max(1, DRAWN_BYTES // size)))
            batches = self.splits[split].labeled_batches(hash64(self._seeds[split], indices), count)
            self._drawn = {(split, int(i), count): batch for i, batch in zip(indices, batches, strict=True)}
        return self._drawn.pop(asked)  # a method may write into it: the next time it is drawn again

"""Task samplers: which episodes, in which order."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mamlbench.data.counter_rng import Keys, hash64, seed_key
from mamlbench.data.dataset import TaskSplit
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.run_spec.options import Options


class TaskSampler(ABC):  # noqa: B024 (a base without abstract methods: the default draws fresh episodes)
    """Draws fresh episodes: episode i is a pure function of (pool, seed, split, i).

    Args:
        pools: the splits, on the device of the run.
        ways: classes per episode.
        episode_seed: seed of validation and test episodes, the same for all algorithms and training seeds.
        training_seed: seed of training episodes, the same for all algorithms.
        options: of the class ``Options``.

    Attributes:
        keeps_support: whether asking for more queries leaves the support of a training episode as it is; that of a
            validation or test episode it must leave in any case.
    """

    Options: ClassVar[type[Options]] = Options
    keeps_support: ClassVar[bool] = True

    def __init__(
        self, pools: dict[str, TaskSplit], ways: int, *, episode_seed: int, training_seed: int, options: Any
    ) -> None:
        self.pools = pools
        self.ways = ways
        self.options = options
        self._seeds = {
            split: seed_key("episodes", split, training_seed if split == "train" else episode_seed) for split in pools
        }

    def key_index(self, split: str, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which task stands at each place of the sequence, int64 ``[n]`` to ``[n]``; a fixed set repeats its own."""
        return index

    def keys(self, split: str, first: int, count: int) -> Keys:
        """Keys of the episodes ``first`` to ``first + count - 1``: uint64 ``[count]``."""
        return hash64(self._seeds[split], self.key_index(split, np.arange(first, first + count)))

    def episodes(self, split: str, first: int, count: int, *, shots: int, queries: int) -> EpisodeBatch:
        """Episodes ``first`` to ``first + count - 1`` of a split: support x ``[count, ways * shots, *input_shape]``.

        Raises ConfigError where the split is too small for what is asked.
        """
        return self.pools[split].episodes(self.keys(split, first, count), self.ways, shots, queries)

    def labeled(self, split: str, index: int, count: int) -> Examples:
        """Minibatch ``index`` of a split's labeled examples, for pretraining: x ``[count, *input_shape]``."""
        return self.pools[split].labeled(np.uint64(hash64(self._seeds[split], index)), count)

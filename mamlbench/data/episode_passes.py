"""Episodes that use each image at most once before all have been used: passes over a split.

The images of a class are cut into blocks, each as many as an episode takes of a class. A pass goes through rounds: in
round r every class that has more than r blocks gives its r-th one, and the classes are dealt out to episodes in a
random order, so that no episode has a class twice. The classes that are left over in a round, fewer than an episode
has, are not used in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mamlbench.data.counter_rng import hash64, sample_without_replacement
from mamlbench.errors import ConfigError


def draw_in_passes(
    key: np.uint64, numbers: NDArray[np.int64], blocks: NDArray[np.int64], ways: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Draw the episodes of these numbers ``[T]``.

    Args:
        key: of the whole sequence of episodes.
        numbers: of the episodes, from 0 on; pass after pass.
        blocks: number of blocks of each class, ``[classes]``.
        ways: classes per episode.

    Returns:
        Classes of each episode ``[T, ways]``, which block of each class ``[T, ways]``, and the number of the pass
        ``[T]``. Raises ConfigError if fewer than ``ways`` classes have a block.
    """
    per_round = [int((blocks > number).sum()) // ways for number in range(int(blocks.max()))]
    first_of_round = np.concatenate([[0], np.cumsum(per_round)])
    per_pass = int(first_of_round[-1])
    if per_pass == 0:
        raise ConfigError(f"fewer than {ways} classes have enough images for an episode.")
    passes, in_pass = np.divmod(numbers, per_pass)
    rounds = np.searchsorted(first_of_round, in_pass, side="right") - 1
    classes = np.empty((len(numbers), ways), np.int64)
    for number, round_ in sorted(set(zip(passes.tolist(), rounds.tolist(), strict=True))):
        in_round = (passes == number) & (rounds == round_)
        available = np.flatnonzero(blocks > round_)
        order_key = hash64(hash64(hash64(key, number), 0), round_)
        order = available[sample_without_replacement(np.asarray(order_key), len(available), len(available))]
        episodes = (in_pass[in_round] - first_of_round[round_])[:, None]
        classes[in_round] = order[episodes * ways + np.arange(ways)]
    return classes, np.broadcast_to(rounds[:, None], classes.shape), passes

"""Wrong labels: a share of the labels of each episode, replaced by other classes of the episode."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mamlbench.data.counter_rng import Keys, hash64, sample_without_replacement, seed_key, uniform

WHICH, ANOTHER, REST = (seed_key("label noise", purpose) for purpose in ("which", "another class", "one more"))


def with_label_noise(y: Tensor, keys: Keys, ways: int, share: float) -> Tensor:
    """Replace labels at random by another class of the episode, each of the others with equal probability.

    Of n labels ``share * n`` are replaced. If that is no whole number, it is rounded up in as many episodes as make it
    right on average, and down in the others. A larger share replaces those of a smaller one and more, and by the same
    classes.

    Args:
        y: int64 labels ``[T, n]`` in 0 to ways - 1.
        keys: one per episode, ``[T]``; what is replaced depends on its key alone.
        ways: number of classes, 2 or more.
        share: from 0 to 1.

    Returns int64 ``[T, n]``; ``y`` stays as it is.
    """
    count = y.shape[1]
    part, whole = math.modf(round(share * count, 9))  # 0.3 * 10 is 3, whatever floating point makes of it
    wrong = whole + (uniform(hash64(keys, int(REST)), 0) < part)  # [T]
    order = sample_without_replacement(hash64(keys, int(WHICH)), count, count)  # [T, n]
    is_wrong = order.argsort(-1) < wrong[:, None]
    draws = hash64(hash64(keys, int(ANOTHER))[:, None], np.arange(count))  # [T, n]
    steps = np.where(is_wrong, 1 + (draws % np.uint64(ways - 1)).astype(np.int64), 0)
    return (y + torch.from_numpy(steps).to(y.device)) % ways

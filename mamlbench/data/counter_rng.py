"""Randomness as a pure function: a 64-bit hash of (key, counters), equal on every machine, in any order.

The mixing function is the finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). Drawing by rank of hashes
gives nested draws: the first k of n keep their places when more are asked for.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
"""64-bit keys, of any shape: whatever is random is a pure function of one."""


def seed_key(*parts: object) -> np.uint64:
    """Turn names and numbers into a 64-bit key, by BLAKE2b over their texts."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def hash64(key: Keys | np.uint64, counter: NDArray[Any] | int) -> Keys:
    """Hash ``key`` with ``counter``, elementwise: ``[...]`` and ``[...]`` to uint64 of the shape they broadcast to.

    The finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    """
    with np.errstate(over="ignore"):
        z: Keys = np.asarray(key, np.uint64) + (np.asarray(counter).astype(np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(key: Keys, counter: NDArray[Any] | int) -> NDArray[np.float64]:
    """Float64 numbers in [0, 1), elementwise: ``[...]`` and ``[...]`` to the shape they broadcast to."""
    return (hash64(key, counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def sample_without_replacement(keys: Keys, population: int, count: int) -> NDArray[np.int64]:
    """Draw ``count`` of ``population`` without replacement, once per key: ``[...]`` to ``[..., count]``."""
    ranks = hash64(keys[..., None], np.arange(population))  # [..., population]
    if count < population // 4:
        nearest = np.argpartition(ranks, count, axis=-1)[..., :count]  # [..., count], in no order
        order = np.argsort(np.take_along_axis(ranks, nearest, -1), axis=-1)
        return np.take_along_axis(nearest, order, -1)
    return np.argsort(ranks, axis=-1)[..., :count]

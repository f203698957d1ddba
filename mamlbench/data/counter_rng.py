"""Counter-based random numbers: 64-bit hashes of a key and counters, equal on every machine and in any order.

The hash is the finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). Samples are the members with the smallest
hashes, so a larger sample begins with the smaller one.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
"""64-bit keys of any shape; every random choice is a pure function of one."""


def seed_key(*parts: object) -> np.uint64:
    """Hash names and numbers into a 64-bit key, by BLAKE2b over their texts."""
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
    """Draw float64 numbers in [0, 1), elementwise: ``[...]`` and ``[...]`` to the shape they broadcast to."""
    return (hash64(key, counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def sample_without_replacement(keys: Keys, population: int, count: int) -> NDArray[np.int64]:
    """Draw ``count`` of ``range(population)`` without replacement, once per key: ``[...]`` to int64 ``[..., count]``.

    A larger ``count`` keeps the members drawn with a smaller one, in the same order.
    """
    ranks = hash64(keys[..., None], np.arange(population))  # [..., population]
    if count < population // 4:  # partitioning first is faster than sorting a large population
        smallest = np.argpartition(ranks, count, axis=-1)[..., :count]  # [..., count], not sorted
        order = np.argsort(np.take_along_axis(ranks, smallest, -1), axis=-1)
        return np.take_along_axis(smallest, order, -1)
    return np.argsort(ranks, axis=-1)[..., :count]

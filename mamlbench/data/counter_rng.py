"""Counter-based random numbers: 64-bit hashes of a key and counters, equal on every machine and in any order.

The hash is the finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). Samples are the members with the smallest
hashes, so a larger sample begins with the smaller one.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Keys = NDArray[np.uint64]
"""64-bit keys of any shape; every random choice is a pure function of one."""

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Increment and multipliers of SplitMix64."""


def seed_key(*parts: object) -> np.uint64:
    """Hash names and numbers into a 64-bit key, by BLAKE2b over their texts."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def hash64(key: Keys | np.uint64, counter: NDArray[Any] | int) -> Keys:
    """Hash ``key`` with ``counter``, elementwise: ``[...]`` and ``[...]`` to uint64 of the shape they broadcast to.

    The finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    """
    with np.errstate(over="ignore"):
        steps = np.asarray(counter).astype(np.uint64) + np.uint64(1)
        z: Keys = np.asarray(key, np.uint64) + steps * np.uint64(_GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
        return z ^ (z >> np.uint64(31))


def hash64_on_device(key: int, counters: Tensor) -> Tensor:
    """Compute ``hash64`` on the device of ``counters``, int64 ``[...]``: the same 64 bits, as int64 of that shape."""
    # torch has no arithmetic of uint64; products of int64 wrap around to the same bits
    z = counters * _signed(_GAMMA) + _signed(key + _GAMMA)
    z = (z ^ shift_right(z, 30)) * _signed(_FIRST)
    z = (z ^ shift_right(z, 27)) * _signed(_SECOND)
    return z ^ shift_right(z, 31)


def shift_right(z: Tensor, bits: int) -> Tensor:
    """Shift int64 ``[...]`` to the right as if they were uint64: zeros come in, not copies of the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """Return the int64 with the same 64 bits."""
    return (value + 2**63) % 2**64 - 2**63


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

"""What checks compare: tensors bit for bit or within rounding, under whatever global random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import Parameters


def snapshot(tensors: Parameters) -> Parameters:
    """A copy that nothing changes."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def changed(before: Parameters, after: Parameters) -> list[str]:
    """Names whose tensors are not equal bit for bit, or that only one side has."""
    return [
        name
        for name in sorted({*before, *after})
        if name not in before or name not in after or not same(before[name], after[name])
    ]


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal bit for bit; NaN equals itself."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def distance(one: Tensor, other: Tensor) -> float:
    """Greatest difference, relative to the greatest value (or 1)."""
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).abs().max() / max(1.0, float(other.abs().max())))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Set every global random state, of which no plugin may take notice, and put it back."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])

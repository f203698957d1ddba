"""Comparing tensors, exactly or within a tolerance; and a context that sets the global random states."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import Parameters


def snapshot(tensors: Mapping[str, Tensor]) -> Parameters:
    """Return copies of the tensors, by name."""
    return Parameters({name: value.detach().clone() for name, value in tensors.items()})


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Return the names whose tensors are not equal bit for bit, or that only one side has."""
    return [
        name
        for name in sorted({*before, *after})
        if name not in before or name not in after or not same(before[name], after[name])
    ]


def same(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors are equal bit for bit; NaN equals itself."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(((first == second) | (first.isnan() & second.isnan())).all())


def distance(value: Tensor, reference: Tensor) -> float:
    """Return the largest difference, relative to the largest reference value (at least 1)."""
    if value.shape != reference.shape:
        return float("inf")
    return float((value - reference).abs().max() / max(1.0, float(reference.abs().max())))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed every global random state, which plugins must not use, and restore it afterwards."""
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

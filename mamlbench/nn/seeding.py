"""Initial parameters that depend on a name and the run's seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mamlbench.data.counter_rng import seed_key


@contextmanager
def seeded(name: str, seed: int) -> Iterator[None]:
    """Let torch's global random state depend on ``name`` and ``seed`` alone; it is restored afterwards.

    For networks of a method's own, which would otherwise start alike in all runs, or in none again::

        with seeded("critic", context.seed):
            critic = nn.Linear(64, 1)
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed_key(name, seed)) % 2**63)
        yield

"""A fixed pool of training tasks, as the first MAML tutorials have it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mamlbench.api import Options, TaskSampler, sample_without_replacement, seed_key


class FixedPool(TaskSampler):
    """Training goes round a fixed set of tasks, in a new order each time; validation and test are untouched."""

    class Options(Options):
        """Options of the fixed pool."""

        tasks: int = Field(1000, ge=1, description="training tasks in the pool")

    def key_index(self, split: str, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Place in the endless training sequence to task number; each round visits every task once."""
        if split != "train":
            return index
        tasks = self.options.tasks
        orders = {
            int(r): sample_without_replacement(np.asarray(seed_key("round", r)), tasks, tasks)
            for r in np.unique(index // tasks)
        }
        return np.array([orders[int(i // tasks)][i % tasks] for i in index])

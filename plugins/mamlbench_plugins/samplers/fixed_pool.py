"""Sampler of a fixed pool of training tasks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mamlbench.api import Options, TaskSampler, sample_without_replacement, seed_key


class FixedPool(TaskSampler):
    """Training repeats a fixed set of tasks, in a new order each round; validation and test tasks are fresh."""

    class Options(Options):
        """Size of the pool."""

        tasks: int = Field(1000, ge=1, le=10_000_000, description="number of training tasks in the pool")

    def key_index(self, split: str, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the task number at each position of the training sequence; a round visits every task once."""
        if split != "train":
            return index
        tasks = self.options.tasks
        orders = {
            int(number): sample_without_replacement(np.asarray(seed_key("round", number)), tasks, tasks)
            for number in np.unique(index // tasks)
        }
        return np.array([orders[int(position // tasks)][position % tasks] for position in index])

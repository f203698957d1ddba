"""A test split that nothing can be drawn from: what tuning has in place of the test classes."""

from __future__ import annotations

from typing import NoReturn

import torch

from mamlbench.api import EpisodeBatch, Examples, Keys, Objective, TaskSplit
from mamlbench.errors import RunFailedError


class SealedSplit(TaskSplit):
    """Has the hash, the size and the shapes of a split, and none of its examples."""

    def __init__(self, split: TaskSplit) -> None:
        self.hash, self.size = split.hash, split.size
        self._input_shape, self._objective = split.input_shape, split.objective

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._input_shape

    @property
    def objective(self) -> Objective:
        return self._objective

    def to(self, device: torch.device) -> SealedSplit:
        return self

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Raise RunFailedError."""
        self._refuse()

    def labeled_examples(self, key: object, count: int) -> Examples:
        """Raise RunFailedError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RunFailedError("something asked for test classes while options are tuned, which must not see them")

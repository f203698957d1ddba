"""Data sets without files: tasks of a family that are computed from their keys."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch

from mamlbench.api import (
    SPLITS,
    ConfigError,
    DataPaths,
    Dataset,
    EpisodeBatch,
    Examples,
    Keys,
    LocalCopy,
    TaskSplit,
    hash64,
)

FamilyT = TypeVar("FamilyT")
"""What all tasks of a data set have in common."""


class FamilySplit(TaskSplit, Generic[FamilyT]):
    """One split: all tasks of a family; splits draw different ones because their episodes have different keys."""

    noun: ClassVar[str]

    def __init__(self, family: FamilyT, split: str, device: torch.device | None = None) -> None:
        self.family, self.split = family, split
        self.device = device or torch.device("cpu")
        self.hash = hashlib.sha256(repr((*self.facts, split)).encode()).hexdigest()
        self.size = 1  # one family of tasks; there are no classes

    @property
    @abstractmethod
    def facts(self) -> tuple[object, ...]:
        """What distinguishes the family from others."""

    @abstractmethod
    def draw(self, keys: Keys, count: int) -> Examples:
        """Draw ``count`` examples of one task per key: ``[T, count, ...]``, whatever their number."""

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Draw one task per key: support x ``[T, shots, *input_shape]``, query x ``[T, queries, *input_shape]``.

        Raises ConfigError if ``ways`` is not 1, because a task has no classes.
        """
        if ways != 1:
            raise ConfigError(f"{ways} ways were requested, and a {self.noun} has no classes: use 1.")
        examples = self.draw(keys, shots + queries)
        return EpisodeBatch(
            support=Examples(*(values[:, :shots] for values in examples)),
            query=Examples(*(values[:, shots:] for values in examples)),
            keys=torch.from_numpy(hash64(keys, 3).view(np.int64)),
        )

    def to(self, device: torch.device) -> Self:
        return type(self)(self.family, self.split, device)


class ComputedTasks(Dataset):
    """Tasks of a family; needs no files."""

    default_backbone: ClassVar[str] = "mlp"
    amount: ClassVar[str] = "any number of tasks"

    @abstractmethod
    def make_split(self, name: str) -> TaskSplit:
        """One split of the family of the options."""

    @classmethod
    def find_local_copy(cls, options: Any, paths: DataPaths) -> LocalCopy:
        return LocalCopy("computed", amount=cls.amount, prepared=True)

    def load(self) -> Mapping[str, TaskSplit]:
        self.origin = "computed"
        return {name: self.make_split(name) for name in SPLITS}

"""learn2learn's task sets as a sampler: its MetaDataset, its transforms and its Taskset, over mamlbench's images."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mamlbench.api import EpisodeBatch, Examples, ImageSplit, TaskSampler, hash64
from mamlbench.errors import ConfigError
from mamlbench_learn2learn.library import learn2learn

TURNS = [0.0, 90.0, 180.0, 270.0]


class Images(Dataset[tuple[Tensor, int]]):
    """A split as learn2learn wants it: image i and the number of its class. The images lie in memory, decoded."""

    def __init__(self, split: ImageSplit) -> None:
        self.split = split
        classes = np.repeat(np.arange(len(split.class_names)), split.sizes)  # [images]
        turns = 4 if split.rotations == "classes" else 1
        # the classes turned once come after all classes as they are, as in the split
        self.labels = np.concatenate([classes + turn * len(split.class_names) for turn in range(turns)]).tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        turn, place = divmod(index, len(self.split.rows))
        image = self.split.images[self.split.rows[place]]  # [C, H, W] uint8
        return self.split.normalize_images(image.rot90(turn, (1, 2))[None])[0], self.labels[index]


class TaskSets(TaskSampler):
    """Training tasks come one by one from a learn2learn Taskset, with the transforms of its Omniglot benchmark.

    learn2learn draws from Python's global generator. It is seeded with the episode's key before each task and put back
    after it, so that episode i is the same in any order; with more queries it is another. Validation and test episodes
    are the default sampler's: every score is paired with that of the untrained network, on the same episodes.
    """

    keeps_support: ClassVar[bool] = False

    def __init__(self, *arguments: Any, **seeds: Any) -> None:
        super().__init__(*arguments, **seeds)
        self.taskset = cache(self._taskset)

    def episodes(
        self, split: str, first: int, count: int, *, shots: int, queries: int, ways: int | None = None
    ) -> EpisodeBatch:
        ways = ways or self.ways
        if split != "train":
            return super().episodes(split, first, count, shots=shots, queries=queries, ways=ways)
        keys, taskset = self.keys(split, first, count), self.taskset(ways, shots, queries)
        tasks = [_task(taskset, int(key)) for key in keys]
        x, y = (torch.stack(part) for part in zip(*tasks, strict=True))  # [T, N * (K + Q), ...], sorted by class
        x, y = (part.view(count, ways, shots + queries, *part.shape[2:]) for part in (x, y))
        support, query = (
            Examples(x[:, :, part].flatten(1, 2), y[:, :, part].flatten(1, 2).to(x.device))
            for part in (slice(shots), slice(shots, None))
        )
        return EpisodeBatch(support, query, torch.from_numpy(hash64(keys, 3).view(np.int64)))

    def _taskset(self, ways: int, shots: int, queries: int) -> Any:
        split = self.splits["train"]
        if not isinstance(split, ImageSplit):
            raise ConfigError("l2l-tasks draws from images sorted by class: this data set has none; try fresh.")
        split.episodes(self.keys("train", 0, 1), ways, shots, queries)  # says what the split is too small for
        images = Images(split)
        data = learn2learn.data.MetaDataset(images, indices_to_labels=dict(enumerate(images.labels)))
        make = learn2learn.data.transforms
        transforms = [
            make.FusedNWaysKShots(data, n=ways, k=shots + queries),
            make.LoadData(data),
            make.RemapLabels(data),
            make.ConsecutiveLabels(data),
        ]
        if split.rotations == "episode":
            transforms.append(learn2learn.vision.transforms.RandomClassRotation(data, TURNS))
        return learn2learn.data.Taskset(data, transforms)


def _task(taskset: Any, key: int) -> tuple[Tensor, Tensor]:
    """The task of a key: x ``[N * (K + Q), ...]``, y ``[N * (K + Q)]``."""
    with _seeded(key):
        x, y = taskset.sample()
    return x, y


@contextmanager
def _seeded(key: int) -> Iterator[None]:
    before = random.getstate()
    random.seed(key)
    try:
        yield
    finally:
        random.setstate(before)

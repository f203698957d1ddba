"""Test episodes made harder, as the protocol says: wrong labels in the support set, corrupted images.

Training and validation episodes stay as they are, and so do the labels of queries. Which images and classes an episode
has does not change: the same test without disturbance has the same episodes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import EpisodeBatch, ImageSplit, TaskSplit
from mamlbench.data.counter_rng import Keys, hash64, seed_key
from mamlbench.data.image_corruption import corrupt_images
from mamlbench.data.label_noise import with_label_noise
from mamlbench.errors import ConfigError, ConfigProblem
from mamlbench.run_spec import Corruption, Protocol, read_corruption

SUPPORT, QUERY = seed_key("corrupted support images"), seed_key("corrupted query images")


def refuse_label_noise(protocol: Protocol, kind: str) -> None:
    """Raise ConfigError if labels of tasks that have none are to be wrong."""
    if protocol.label_noise and kind != "classification":
        text = f"Tasks of {kind} have no classes that labels could be confused with: leave out --label-noise."
        raise ConfigError(ConfigProblem(text, "label_noise"))


def disturbed(batch: EpisodeBatch, protocol: Protocol, split: TaskSplit) -> EpisodeBatch:
    """Return test episodes with the wrong labels and corrupted images of a protocol, each a function of its key.

    Args:
        batch: episodes of ``split``.
        protocol: what is done to them; its ways are theirs.
        split: what they were drawn from; it knows how pixels are normalized.

    Raises ConfigError if they have no images of pixels.
    """
    keys = batch.keys.cpu().numpy().view(np.uint64)
    if protocol.label_noise:
        y = with_label_noise(batch.support.y, keys, protocol.ways, protocol.label_noise)
        batch = batch._replace(support=batch.support._replace(y=y))
    corruption = read_corruption(protocol.corrupt)
    if corruption is None:
        return batch
    if not isinstance(split, ImageSplit):
        raise ConfigError(f"--corrupt {corruption} is for images, and this data set has none of pixels: leave it out.")
    return batch._replace(
        support=batch.support._replace(x=_corrupted(batch.support.x, hash64(keys, int(SUPPORT)), corruption, split)),
        query=batch.query._replace(x=_corrupted(batch.query.x, hash64(keys, int(QUERY)), corruption, split)),
    )


def _corrupted(x: Tensor, keys: Keys, corruption: Corruption, split: ImageSplit) -> Tensor:
    """Corrupt the pixels of normalized images ``[T, n, C, H, W]``; an image depends on its key ``[T]`` and place."""
    image_keys = hash64(keys[:, None], np.arange(x.shape[1]))  # [T, n]
    pixels, normalization = x.flatten(0, 1), split.normalization
    if normalization is not None:
        pixels = normalization.inverse(pixels)
    pixels = corrupt_images(pixels, image_keys.ravel(), corruption)
    if normalization is not None:
        pixels = normalization(pixels)
    return torch.unflatten(pixels, 0, x.shape[:2])

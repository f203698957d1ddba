"""The tiny task: a data set and a network that train in a second and on which training clearly helps.

Classes differ in the upper rows of 8x8 images; the lower rows are stronger noise without information. An untrained
network is misled by the noise. Training has to learn, for all classes alike, to ignore it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from mamlbench.api import Backbone, BatchNorm, ImageSplit, Options, TaskSplit

SHAPE = (1, 8, 8)
WAYS, SHOTS, QUERIES = 3, 2, 3
CLASSES = {"train": 24, "val": 8, "test": 12}
DRAWINGS = 8
"""Images per class."""
UPPER = 3
"""Number of rows in which the classes differ."""

SIGNAL, SPREAD, NOISE = 0.13, 0.05, 0.25
"""Standard deviations: between classes, between drawings of a class (upper rows), and of the lower rows."""

WIDTH = 16


@cache
def tiny_splits() -> dict[str, TaskSplit]:
    """Make the splits, disjoint by class: uint8 images ``[classes * 8, 1, 8, 8]``, the same on every machine."""
    generator = torch.Generator().manual_seed(20)
    return {split: _make_split(split, classes, generator) for split, classes in CLASSES.items()}


def _make_split(split: str, classes: int, generator: torch.Generator) -> ImageSplit:
    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    rows, side = UPPER, SHAPE[1]
    upper = SIGNAL * normal(classes, 1, rows, side) + SPREAD * normal(classes, DRAWINGS, rows, side)
    lower = NOISE * normal(classes, DRAWINGS, side - rows, side)
    images = (torch.cat([upper, lower], 2) + 0.5).clamp(0, 1)  # [classes, drawings, 8, 8]
    return ImageSplit(
        (255 * images).to(torch.uint8).flatten(0, 1)[:, None],
        np.arange(classes + 1, dtype=np.int64) * DRAWINGS,
        tuple(f"{split} {index}" for index in range(classes)),
    )


class TinyNetwork(Backbone):
    """A network with one hidden layer and, by default, batch norm. It is smooth, so finite differences are accurate."""

    class Options(Options):
        """Options of the tiny network."""

        norm: bool = True

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        pixels = int(np.prod(input_shape))
        norm: list[nn.Module] = [BatchNorm(WIDTH)] if self.options.norm else []
        return nn.Sequential(nn.Flatten(), nn.Linear(pixels, WIDTH, bias=not norm), *norm, nn.Tanh()), WIDTH

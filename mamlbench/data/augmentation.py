"""Augmentation of labeled images: random crop, flip and color, all at once for a whole batch.

Every image's distortion is a pure function of its key, so that a batch is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mamlbench.data.counter_rng import Keys, uniform

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601), as Pillow and torchvision have them."""


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an image.

    Args:
        crop: the smallest share of the area that a random crop keeps, stretched back to full size; 1: no crop.
        flip: whether every other image is mirrored left to right.
        jitter: brightness, contrast and (of color images) saturation are each multiplied by a factor from
            ``1 - jitter`` to ``1 + jitter``; 0: none.
    """

    crop: float = 1.0
    flip: bool = False
    jitter: float = 0.0

    def __call__(self, x: Tensor, keys: Keys) -> Tensor:
        """Distort images ``[n, C, H, W]`` in [0, 1], each by its own key ``[n]``; the result is in [0, 1] too."""
        chance = torch.from_numpy(uniform(keys[:, None], np.arange(7))).to(x.device, torch.float32)  # [n, 7]
        if self.crop < 1:
            x = self._cropped(x, chance)
        elif self.flip:
            x = torch.where((chance[:, 0] < 0.5)[:, None, None, None], x.flip(-1), x)
        return self._jittered(x, chance[:, 4:]) if self.jitter > 0 else x

    def _cropped(self, x: Tensor, chance: Tensor) -> Tensor:
        """Crop, and flip on the way: one bilinear look-up per pixel."""
        side = (self.crop + (1 - self.crop) * chance[:, 1]).sqrt()  # [n]: share of height and of width
        center = (2 * chance[:, 2:4] - 1) * (1 - side)[:, None]  # [n, 2] in -1 to 1
        mirror = torch.where(chance[:, 0] < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(side)
        zero = torch.zeros_like(side)
        across = torch.stack([side * mirror, zero, center[:, 0]], -1)
        down = torch.stack([zero, side, center[:, 1]], -1)
        grid = F.affine_grid(torch.stack([across, down], 1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def _jittered(self, x: Tensor, chance: Tensor) -> Tensor:
        """Brightness, contrast, saturation, in this order, as torchvision blends them."""
        factor = (1 + self.jitter * (2 * chance - 1))[:, :, None, None, None]  # [n, 3, 1, 1, 1]
        x = (x * factor[:, 0]).clamp_(0, 1)
        mean = _grey(x).mean((1, 2, 3), keepdim=True)
        x = (mean + (x - mean) * factor[:, 1]).clamp_(0, 1)
        if x.shape[1] != 3:
            return x
        gray = _grey(x)
        return (gray + (x - gray) * factor[:, 2]).clamp_(0, 1)


def _grey(x: Tensor) -> Tensor:
    """Luma of ``[n, C, H, W]``: ``[n, 1, H, W]``."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * x.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)

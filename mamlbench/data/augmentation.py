"""Augmentation of labeled images: random crop, flip and color jitter of a whole batch at once.

The distortion of an image is a pure function of its key, so that a batch is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mamlbench.data.counter_rng import Keys, uniform

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601), as in Pillow and torchvision."""


@dataclass(frozen=True)
class Augmentation:
    """Distorts images at random.

    Args:
        crop: smallest share of the area that a random crop keeps, resized to full size; 1: no crop.
        flip: whether to mirror half of the images, at random.
        jitter: range of the factors ``1 - jitter`` to ``1 + jitter`` for brightness, contrast and, in color images,
            saturation; 0: no jitter.
    """

    crop: float = 1.0
    flip: bool = False
    jitter: float = 0.0

    def __call__(self, x: Tensor, keys: Keys) -> Tensor:
        """Distort float32 images ``[n, C, H, W]``, each by its own key ``[n]``; pixels stay in [0, 1]."""
        chance = torch.from_numpy(uniform(keys[:, None], np.arange(7))).to(x.device, torch.float32)  # [n, 7]
        if self.crop < 1:
            x = self._crop_and_flip(x, chance)
        elif self.flip:
            x = torch.where((chance[:, 0] < 0.5)[:, None, None, None], x.flip(-1), x)
        return self._jitter_colors(x, chance[:, 4:]) if self.jitter > 0 else x

    def _crop_and_flip(self, x: Tensor, chance: Tensor) -> Tensor:
        """Crop and flip in one bilinear interpolation."""
        side = (self.crop + (1 - self.crop) * chance[:, 1]).sqrt()  # [n]: share of height and of width
        center = (2 * chance[:, 2:4] - 1) * (1 - side)[:, None]  # [n, 2] in -1 to 1
        mirror = torch.where(chance[:, 0] < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(side)
        zero = torch.zeros_like(side)
        horizontal = torch.stack([side * mirror, zero, center[:, 0]], -1)  # [n, 3]
        vertical = torch.stack([zero, side, center[:, 1]], -1)
        grid = F.affine_grid(torch.stack([horizontal, vertical], 1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def _jitter_colors(self, x: Tensor, chance: Tensor) -> Tensor:
        """Change brightness, contrast and saturation, in this order, as torchvision blends them."""
        factor = (1 + self.jitter * (2 * chance - 1))[:, :, None, None, None]  # [n, 3, 1, 1, 1]
        x = (x * factor[:, 0]).clamp_(0, 1)
        mean = _luma(x).mean((1, 2, 3), keepdim=True)
        x = (mean + (x - mean) * factor[:, 1]).clamp_(0, 1)
        if x.shape[1] != 3:
            return x
        gray = _luma(x)
        return (gray + (x - gray) * factor[:, 2]).clamp_(0, 1)


def _luma(x: Tensor) -> Tensor:
    """Luma: ``[n, C, H, W]`` to ``[n, 1, H, W]``; the mean over channels unless they are red, green and blue."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * x.new_tensor(LUMA_WEIGHTS)[:, None, None]).sum(1, keepdim=True)

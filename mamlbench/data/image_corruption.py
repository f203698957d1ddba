"""Corruption of a batch of images: Gaussian noise, Gaussian blur, less contrast.

The kinds, and pixels that stay in [0, 1], are those of ImageNet-C (Hendrycks & Dietterich, ICLR 2019); a strength is a
number here, not a level of severity.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mamlbench.data.counter_rng import Keys, hash64_on_device, shift_right
from mamlbench.run_spec.corruption import Corruption

DEVIATIONS = 4.0
"""The Gaussian of blur is cut off at this many standard deviations."""


def corrupt_images(x: Tensor, keys: Keys, corruption: Corruption) -> Tensor:
    """Corrupt float32 images ``[n, C, H, W]`` in [0, 1], each as a function of its key ``[n]``; pixels stay in [0, 1].

    The keys matter to noise only. Strengths are described in ``mamlbench.run_spec.corruption.Corruption``.
    """
    match corruption.name:
        case "noise":
            x = x + corruption.strength * _normal(keys, x[0].numel(), x.device).view_as(x)
        case "blur":
            across, down = (_blur_matrix(size, corruption.strength).to(x.device) for size in (x.shape[3], x.shape[2]))
            x = (down @ x.double() @ across.T).to(x.dtype)
        case _:
            x = torch.lerp(x, x.mean((2, 3), keepdim=True), corruption.strength)  # of each channel
    return x.clamp(0, 1)


def _normal(keys: Keys, count: int, device: torch.device) -> Tensor:
    """Draw ``count`` standard normal numbers for each key ``[n]``: float32 ``[n, count]``, by Box and Muller."""
    starts = torch.from_numpy(keys.view(np.int64)).to(device)  # each key begins a stream of counters of its own
    bits = hash64_on_device(0, starts[:, None] + torch.arange(-(-count // 2), device=device))  # [n, count / 2]
    first, second = ((half.float() + 0.5) * 2.0**-24 for half in (shift_right(bits, 40), bits & (2**24 - 1)))
    radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]


def _blur_matrix(size: int, deviation: float) -> Tensor:
    """Weights with which each of ``size`` pixels in a line is a mean of all, float64 ``[size, size]``.

    Beyond the edge the last pixel is repeated.
    """
    reach = math.ceil(DEVIATIONS * deviation)
    offsets = torch.arange(-reach, reach + 1)
    weights = (-(offsets.double() ** 2) / (2 * deviation**2)).exp()
    targets = (torch.arange(size)[:, None] + offsets).clamp(0, size - 1)  # [size, 2 * reach + 1]
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, targets, (weights / weights.sum()).expand(size, -1))

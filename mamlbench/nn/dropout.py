"""Noise in training, such as dropout, as a pure function: every mask is a hash of a key, the layer and the position.

An update computes a network many times: in every inner step, again if an engine rematerializes a step, for many tasks
together or one after the other. Masks from a generator would depend on that order. Here they are fixed during an
update, as those of variational dropout are over time (Gal & Ghahramani 2016, "A Theoretically
Grounded Application of Dropout in Recurrent Neural Networks"), so that the loss of a task is one function
throughout.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamlbench.data.counter_rng import hash64_on_device, seed_key, shift_right

_training: ContextVar[int | None] = ContextVar("_training", default=None)


@contextmanager
def noise_key_scope(key: np.uint64 | int) -> Iterator[None]:
    """Make every ``StochasticLayer`` random inside; outside they return their input.

    The harness opens it around ``Algorithm.compute_update`` and nowhere else, with a key made of the training seed and
    the number of the meta-iteration. One key means one mask per layer, for all tasks, steps and passes.

    Args:
        key: 64 bits that decide every mask.
    """
    token = _training.set(int(key))
    try:
        yield
    finally:
        _training.reset(token)


class StochasticLayer(nn.Module, ABC):
    """A layer that is random in training and returns its input otherwise. A subclass implements ``noisy``.

    Attributes:
        place: the layer's name in its network, set by ``Backbone.build``, so that each layer has its own masks.
    """

    place: str = ""

    @abstractmethod
    def noisy(self, x: Tensor, key: int) -> Tensor:
        """Return ``x`` ``[n, ...]`` with noise that depends on the 64 bits of ``key`` and on no other state.

        No example may influence another's noise: derive it from positions with ``bernoulli_mask``.
        """

    def forward(self, x: Tensor) -> Tensor:
        """``[n, ...]`` to the same shape.

        Raises RuntimeError inside ``torch.compile``, which would turn one iteration's key into a constant.
        """
        if torch.compiler.is_compiling():
            raise RuntimeError("noise in training cannot be compiled: its key would become a constant")
        key = _training.get()
        return x if key is None else self.noisy(x, int(seed_key(key, self.place)))


class Dropout(StochasticLayer):
    """Sets single values to zero and divides the others by ``1 - rate`` (Srivastava et al. 2014).

    Takes ``[n, ...]`` of a floating-point type.

    Args:
        rate: probability of a zero, in [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def noisy(self, x: Tensor, key: int) -> Tensor:
        mask = ~bernoulli_mask(key, x.shape, self.rate, x.device)
        return x * (mask.to(x.dtype) / (1 - self.rate))

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class ChannelDropout(Dropout):
    """Sets whole channels to zero and divides the others by ``1 - rate``, as ``nn.Dropout2d`` does in training.

    Takes ``[n, C, ...]`` of a floating-point type (Tompson et al. 2015, "Efficient Object Localization Using
    Convolutional Networks", section 3.2).
    """

    def noisy(self, x: Tensor, key: int) -> Tensor:
        mask = ~bernoulli_mask(key, x.shape[:2], self.rate, x.device)  # [n, C]
        return x * (mask.to(x.dtype) / (1 - self.rate)).view(*mask.shape, *(1 for _ in x.shape[2:]))


class DropBlock(StochasticLayer):
    """Sets square blocks of each channel to zero (Ghiasi, Lin & Le 2018, "DropBlock", Algorithm 1).

    Takes ``[n, C, H, W]`` of a floating-point type. Blocks begin wherever they fit as a whole, with the probability γ
    of the paper's equation 1, and may overlap. The other values are scaled by count / count of ones as in the paper,
    but within each example, so that no example influences another.

    Args:
        rate: approximate share of the values set to zero (fewer if blocks overlap), in [0, 1).
        size: height and width of a block; a smaller map is set to zero as a whole.
    """

    def __init__(self, rate: float, size: int) -> None:
        super().__init__()
        self.rate, self.size = rate, size

    def noisy(self, x: Tensor, key: int) -> Tensor:
        examples, channels, height, width = x.shape
        size = min(self.size, height, width)
        rows, columns = height - size + 1, width - size + 1
        gamma = self.rate / size**2 * (height * width) / (rows * columns)
        corners = bernoulli_mask(key, (examples, channels, rows, columns), gamma, x.device).to(x.dtype)
        # a value is dropped if one of the size * size blocks that cover it has a corner here: [n, C, H, W]
        mask = 1 - F.max_pool2d(F.pad(corners, (size - 1,) * 4), size, stride=1)
        ones = mask.sum((1, 2, 3), keepdim=True)  # [n, 1, 1, 1]
        return x * (mask * (channels * height * width / ones.clamp_min(1)))

    def extra_repr(self) -> str:
        return f"rate={self.rate}, size={self.size}"


def bernoulli_mask(key: int, shape: Sequence[int], rate: float, device: torch.device) -> Tensor:
    """Choose positions with probability ``rate``: bool, of that shape. More examples do not change the first ones.

    Computed on the device, without synchronizing.
    """
    positions = torch.arange(math.prod(shape), device=device).view(*shape)
    return shift_right(hash64_on_device(key, positions), 11) < round(rate * 2**53)

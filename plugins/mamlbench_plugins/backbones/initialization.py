"""How the first weights of a layer are drawn: what published code of the same network differs in."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

HeadInitialization = Literal["torch", "xavier", "normal", "truncated"]
"""torch: torch's default, uniform weights and biases. The others have biases of zero. xavier: uniform after Glorot &
Bengio 2010 (supervised-reptile; MAML's miniImageNet code); normal: of deviation 1 (MAML's Omniglot code); truncated: of
deviation 0.01, cut at two of them (MAML's fully connected code)."""

ConvolutionInitialization = Literal["xavier", "he", "torch"]
"""xavier: uniform after Glorot & Bengio 2010 (MAML, Reptile); he: normal, of variance 2 over the outputs' fan (Chen et
al. 2019); torch: torch's default (Snell et al. 2017)."""

DEVIATION = 0.01
"""Standard deviation of 'truncated'."""


def initialize_linear(layer: nn.Linear, initialization: HeadInitialization) -> nn.Linear:
    """Draw the weights ``[outputs, inputs]`` of a layer, and set its biases to 0; 'torch' leaves both as they are."""
    if initialization == "torch":
        return layer
    if initialization == "xavier":
        nn.init.xavier_uniform_(layer.weight)
    elif initialization == "normal":
        nn.init.normal_(layer.weight)
    else:
        nn.init.trunc_normal_(layer.weight, std=DEVIATION, a=-2 * DEVIATION, b=2 * DEVIATION)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def initialize_convolution(layer: nn.Conv2d, initialization: ConvolutionInitialization) -> nn.Conv2d:
    """Draw the weights of a convolution; 'torch' leaves them as they are."""
    if initialization == "xavier":
        nn.init.xavier_uniform_(layer.weight)
    elif initialization == "he":
        fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels
        nn.init.normal_(layer.weight, 0, math.sqrt(2 / fan_out))
    return layer

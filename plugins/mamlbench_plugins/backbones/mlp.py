"""Fully connected networks: 256-128-64-64 with batch norm (Finn et al. 2017, appendix A.1), or 40-40 for sinusoids."""

from __future__ import annotations

import math

from pydantic import Field
from torch import nn

from mamlbench.api import Backbone, BatchNorm, Options


class MLP(Backbone):
    """(Linear, batch norm, ReLU) for each hidden layer."""

    class Options(Options):
        """Options of the fully connected network."""

        hidden: tuple[int, ...] = Field((256, 128, 64, 64), min_length=1, description="widths of the hidden layers")
        norm: bool = Field(True, description="batch norm after each hidden layer")

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        options: MLP.Options = self.options
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(input_shape)
        for hidden in options.hidden:
            layers.append(nn.Linear(width, hidden, bias=not options.norm))
            if options.norm:
                layers.append(BatchNorm(hidden))
            layers.append(nn.ReLU())
            width = hidden
        return nn.Sequential(*layers), width

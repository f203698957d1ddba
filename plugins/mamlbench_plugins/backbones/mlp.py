"""Fully connected networks: 256-128-64-64 with batch norm (Finn et al. 2017, appendix A.1), or 40-40 for sinusoids."""

from __future__ import annotations

import math

from pydantic import Field
from torch import nn

from mamlbench.api import Backbone, BatchNorm, Options
from mamlbench_plugins.backbones.initialization import HeadInitialization, initialize_linear


class MLP(Backbone):
    """(Linear, batch norm, ReLU) for each hidden layer."""

    class Options(Options):
        """Options of the fully connected network."""

        hidden: tuple[int, ...] = Field((256, 128, 64, 64), min_length=1, description="widths of the hidden layers")
        norm: bool = Field(True, description="batch norm after each hidden layer")
        eps: float = Field(1e-5, gt=0, description="batch norm adds it to the variance (1e-3 in MAML's code)")
        init: HeadInitialization = Field("torch", description="first weights of all layers, the head included")

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        options: MLP.Options = self.options
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(input_shape)
        for hidden in options.hidden:
            linear = nn.Linear(width, hidden, bias=not options.norm)
            layers.append(initialize_linear(linear, options.init))
            if options.norm:
                layers.append(BatchNorm(hidden, eps=options.eps))
            layers.append(nn.ReLU())
            width = hidden
        return nn.Sequential(*layers), width

    def head(self, features: int, outputs: int) -> nn.Module:
        return initialize_linear(nn.Linear(features, outputs), self.options.init)

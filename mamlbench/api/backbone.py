"""Backbones: what builds the networks that tasks are solved with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from mamlbench.errors import ConfigError
from mamlbench.nn.dropout import StochasticLayer
from mamlbench.nn.network import Network
from mamlbench.run_spec.options import Options


class Backbone(ABC):
    """Builds networks for an input shape and a number of outputs."""

    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return a module from ``[n, *input_shape]`` to ``[n, d]``, and d.

        Raises ConfigError where the network cannot take that shape.
        """

    def head(self, features: int, outputs: int) -> nn.Module:
        """Return a module from ``[n, features]`` to ``[n, outputs]``; a linear layer unless overridden."""
        return nn.Linear(features, outputs)

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """Build the network, with parameters drawn from torch's global random state.

        Raises ConfigError where a layer has batch-norm statistics of torch's, which are a side effect.
        """
        features, width = self.features(input_shape)
        network = Network(features, self.head(width, outputs))
        for name, module in network.named_modules():
            if isinstance(module, StochasticLayer):
                module.place = name
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise ConfigError(
                    f"layer '{name}' is {type(module).__name__}, whose statistics are a side effect: "
                    "use mamlbench.api.BatchNorm."
                )
        return network

"""Backbones: what builds the networks that tasks are solved with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from mamlbench.errors import ConfigError
from mamlbench.nn.dropout import StochasticLayer
from mamlbench.nn.network import Network, remove_side_effects, running_statistics
from mamlbench.run_spec.options import Options


class Backbone(ABC):
    """Builds networks for an input shape and a number of outputs, of plain torch layers.

    What has a faster equal is replaced in the built network, so that no layer need be written for speed.

    Attributes:
        example_shapes: input shapes that ``mamlbench check`` tries it with; empty: those of images and of points of a
            curve. A network of sequences names one, such as ``((12,),)``.
    """

    Options: ClassVar[type[Options]] = Options
    example_shapes: ClassVar[tuple[tuple[int, ...], ...]] = ()

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

        ``nn.BatchNorm1d`` and ``nn.BatchNorm2d`` become ``BatchNorm``, with the same parameters and no running
        statistics; no activation works in place.

        Raises ConfigError if another layer keeps running statistics, which are a side effect.
        """
        features, width = self.features(input_shape)
        network = Network(features, self.head(width, outputs), input_shape)
        remove_side_effects(network)
        for name, module in network.named_modules():
            if isinstance(module, StochasticLayer):
                module.place = name
        for name in running_statistics(network):
            raise ConfigError(
                f"layer '{name}' is {type(network.get_submodule(name)).__name__}, which keeps running statistics, a "
                "side effect: use mamlbench.api.BatchNorm."
            )
        return network

"""Backbones: what builds the networks that tasks are solved with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar

from torch import nn

from mamlbench.nn.network import Network, refuse_two_behaviors, remove_side_effects
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

    def seen_classes(self, dataset: str, classes: Collection[str]) -> Collection[str] | None:
        """Return those of a data set's test ``classes`` that weights from elsewhere were trained on; None: unknown."""
        return None

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """Build the network, with parameters drawn from torch's global random state.

        ``nn.BatchNorm1d`` and ``nn.BatchNorm2d`` become ``BatchNorm``, with the same parameters and no running
        statistics; ``nn.Dropout`` becomes ``Dropout``, off at test; no activation works in place. Parameters that do
        not require a gradient stay as they are: no method adapts or trains them.

        Raises ConfigError if another layer keeps running statistics, or is another function in training than at test.
        """
        features, width = self.features(input_shape)
        network = Network(features, self.head(width, outputs), input_shape)
        remove_side_effects(network)
        refuse_two_behaviors(network)
        return network

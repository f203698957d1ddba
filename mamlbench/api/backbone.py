"""Backbones: what builds the networks that tasks are solved with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from mamlbench.data.image_split import Normalization
from mamlbench.nn.network import Network, refuse_two_behaviors, remove_side_effects
from mamlbench.run_spec.options import Options


@dataclass(frozen=True)
class Encoder:
    """A network that is not trained any more: the harness computes its outputs once for every image of a data set.

    Args:
        network: images float32 ``[n, *shape]`` to features ``[n, d]``; it runs in evaluation mode, as it is.
        shape: ``(C, H, W)`` of the images that it takes; those of the data set are resized and recolored.
        normalization: of pixels in [0, 1], before the network.
        about: everything but the weights that its outputs depend on, in words, such as the network's name.
    """

    network: nn.Module
    shape: tuple[int, ...]
    normalization: Normalization | None
    about: str


class Backbone(ABC):
    """Builds networks for an input shape and a number of outputs, of plain torch layers.

    What has a faster equal is replaced in the built network, so that no layer need be written for speed.

    Attributes:
        example_shapes: input shapes that ``mamlbench check`` tries it with; empty: those of images and of points of a
            curve. A network of sequences names one, such as ``((12,),)``.
        frozen: whether the features of images are computed once, by ``encoder`` or the features of ``trained_model``.
            Then ``features`` gets these, of shape ``(d,)``, in place of images. An instance may set it.
        trained_model: record or folder of a model of mamlbench whose features are the encoder; None: ``encoder`` is.
        centered: whether the mean feature of the training images is subtracted from all features.
    """

    Options: ClassVar[type[Options]] = Options
    example_shapes: ClassVar[tuple[tuple[int, ...], ...]] = ()
    frozen: bool = False
    trained_model: Path | None = None
    centered: bool = False

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

    def encoder(self, input_shape: tuple[int, ...]) -> Encoder:
        """Return the network whose outputs for images of ``input_shape`` are computed once; for ``frozen`` alone.

        Raises ConfigError if its weights cannot be read, NotImplementedError unless it is overridden.
        """
        raise NotImplementedError(f"{type(self).__name__} is frozen and has no encoder")

    def encoding(self) -> str:
        """Return what features depend on beside weights and images, as text: the options unless overridden."""
        return repr(self.options)

    def weights_sha256(self) -> str:
        """Return the SHA-256 of weights from elsewhere, which a run's spec keeps; empty: it has none that it knows of.

        Raises ConfigError if they cannot be read.
        """
        return ""

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

"""The four-convolution networks of Vinyals et al. 2016, as Finn et al. 2017 (appendix A.1) use them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import Backbone, BatchNorm, Options
from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.initialization import (
    ConvolutionInitialization,
    HeadInitialization,
    initialize_convolution,
    initialize_linear,
)

BLOCKS = 4


class Conv4Options(Options):
    """Options of both networks."""

    width: int = Field(64, ge=1, description="filters of each convolution")
    pooling: Literal["mean", "flatten"] = Field(
        "mean", description="features from the last maps: their mean over height and width, or all of them"
    )
    scale: bool = Field(False, description="batch norm learns a scale besides its bias (the MAML networks have none)")
    eps: float = Field(1e-5, gt=0, description="batch norm adds it to the variance (1e-3 in code for TensorFlow)")
    init: ConvolutionInitialization = Field("xavier", description="first weights of the convolutions")
    head_init: HeadInitialization = Field("torch", description="first weights of the head")


class PooledOptions(Conv4Options):
    """Options of the max-pooled network."""

    width: int = Field(32, ge=1, description="filters of each convolution")
    pooling: Literal["mean", "flatten"] = Field(
        "flatten", description="features from the last maps: their mean over height and width, or all of them"
    )
    border: Literal["valid", "same"] = Field(
        "valid", description="max-pooling of odd sides: valid leaves out the last row and column, same pools them alone"
    )


class SpatialMean(nn.Module):
    """Mean over height and width: ``[n, C, H, W]`` to ``[n, C]``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class StridedConv4(Backbone):
    """4 x (3x3 convolution of stride 2, batch norm, ReLU), then the mean over height and width."""

    Options = Conv4Options
    strided = True

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        options: Any = self.options
        rounds_up = self.strided or options.border == "same"
        channels, side = square_image(input_shape)
        layers: list[nn.Module] = []
        for _ in range(BLOCKS):
            layers += self._block(channels, options)
            channels = options.width
            side = (side + 1) // 2 if rounds_up else side // 2
        if side < 1:
            raise ConfigError(f"images of {input_shape[1:]} are too small for {BLOCKS} poolings: use conv4-strided.")
        layers.append(SpatialMean() if options.pooling == "mean" else nn.Flatten())
        return nn.Sequential(*layers), channels * (1 if options.pooling == "mean" else side * side)

    def _block(self, channels: int, options: Any) -> list[nn.Module]:
        # no bias in the convolution: the batch norm behind it takes it out again
        convolution = nn.Conv2d(channels, options.width, 3, stride=2 if self.strided else 1, padding=1, bias=False)
        initialize_convolution(convolution, options.init)
        layers = [convolution, BatchNorm(options.width, scale=options.scale, eps=options.eps), nn.ReLU()]
        return layers if self.strided else [*layers, nn.MaxPool2d(2, ceil_mode=options.border == "same")]

    def head(self, features: int, outputs: int) -> nn.Module:
        return initialize_linear(nn.Linear(features, outputs), self.options.head_init)


class PooledConv4(StridedConv4):
    """4 x (3x3 convolution, batch norm, ReLU, 2x2 max-pooling), then all remaining values."""

    Options = PooledOptions
    strided = False


def square_image(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Channels and side of a square image. Raises ConfigError for anything else."""
    if len(input_shape) != 3 or input_shape[1] != input_shape[2]:
        raise ConfigError(f"a convolutional backbone takes square images, not {list(input_shape)}: use mlp.")
    return input_shape[0], input_shape[1]

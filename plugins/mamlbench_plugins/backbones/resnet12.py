"""ResNet-12 of the few-shot literature, as in Lee et al. 2019 (MetaOptNet, arXiv 1904.03758), section 4.1."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import Backbone, BatchNorm, Options
from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.conv4 import SpatialMean, picture

GROWTH = (1, 2.5, 5, 10)  # widths of the four blocks: 64, 160, 320 and 640
SLOPE = 0.1  # of the leaky ReLU


class ResNet12Options(Options):
    """Options of ResNet-12."""

    width: int = Field(64, ge=2, multiple_of=2, description="filters of the first block; the others have 2.5, 5, 10 x")
    drop_block: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="rate of DropBlock; above 0 it is refused, because its masks cannot be tied to the episode yet",
    )


class Residual(nn.Module):
    """3 x (3x3 convolution, batch norm, leaky ReLU) beside a 1x1 convolution, then 2x2 max-pooling."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (channels, width, width):
            layers += [_convolution(before, width, 3), BatchNorm(width, scale=True), nn.LeakyReLU(SLOPE)]
        self.straight = nn.Sequential(*layers[:-1])
        self.beside = nn.Sequential(_convolution(channels, width, 1), BatchNorm(width, scale=True))
        self.out = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:  # [n, C, H, W] -> [n, width, H // 2, W // 2]
        return self.out(self.straight(x) + self.beside(x))  # type: ignore[no-any-return]


class ResNet12(Backbone):
    """Four residual blocks, then the mean over height and width.

    The original drops blocks of the last two stages at random (DropBlock, Ghiasi et al. 2018). A network here is a
    function of its parameters and pictures alone, so that every engine computes the same: it is told neither the
    episode's key nor whether it trains, and random masks have nowhere to come from. Hence ``drop_block`` must be 0.
    """

    Options = ResNet12Options

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        options: ResNet12Options = self.options
        if options.drop_block:
            raise ConfigError(
                f"backbone 'resnet12' cannot run with drop_block={options.drop_block:g}: its random masks would depend "
                "on the engine instead of the episode. Leave it at 0."
            )
        channels, side = picture(input_shape)
        if side < 2 ** len(GROWTH):
            raise ConfigError(f"pictures of {input_shape[1:]} are too small for {len(GROWTH)} poolings: use resnet18.")
        blocks = []
        for growth in GROWTH:
            width = int(options.width * growth)
            blocks.append(Residual(channels, width))
            channels = width
        return nn.Sequential(*blocks, SpatialMean()), channels


def _convolution(channels: int, width: int, side: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, width, side, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, SLOPE, mode="fan_out", nonlinearity="leaky_relu")
    return convolution

"""ResNet-12 of the few-shot literature, as in Lee et al. 2019 (MetaOptNet, arXiv 1904.03758), section 4.1."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import Backbone, DropBlock, Dropout, Options, StochasticLayer
from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.conv4 import SpatialMean, square_image

GROWTH = (1, 2.5, 5, 10)  # widths of the four blocks: 64, 160, 320 and 640
SLOPE = 0.1  # of the leaky ReLU
FIRST_DROP_BLOCK = 2  # the block from which on whole blocks of a map are dropped


class ResNet12Options(Options):
    """Options of ResNet-12."""

    width: int = Field(64, ge=2, multiple_of=2, description="filters of the first block; the others have 2.5, 5, 10 x")
    drop_block: float = Field(
        0.0, ge=0, lt=1, description="rate at which training drops: blocks in the last two stages, else single values"
    )
    drop_block_size: int = Field(5, ge=1, description="side of the blocks dropped; no larger than the feature map")


class Residual(nn.Module):
    """3 x (3x3 convolution, batch norm, leaky ReLU) beside a 1x1 convolution, then 2x2 max-pooling, then noise."""

    def __init__(self, channels: int, width: int, noise: Sequence[StochasticLayer]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (channels, width, width):
            layers += [_convolution(before, width, 3), nn.BatchNorm2d(width), nn.LeakyReLU(SLOPE)]
        self.straight = nn.Sequential(*layers[:-1])
        self.beside = nn.Sequential(_convolution(channels, width, 1), nn.BatchNorm2d(width))
        self.out = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(2), *noise)

    def forward(self, x: Tensor) -> Tensor:  # [n, C, H, W] -> [n, width, H // 2, W // 2]
        return self.out(self.straight(x) + self.beside(x))  # type: ignore[no-any-return]


class ResNet12(Backbone):
    """Four residual blocks, then the mean over height and width.

    With ``drop_block`` above 0 training is noisy in the places of the authors' code: after the pooling of the last two
    stages DropBlock (Ghiasi et al. 2018), after that of the first two dropout of single values at the same rate. Three
    things differ from that code. It raises DropBlock's rate to its value over 40,000 passes; here it is constant. It
    scales what is kept by the ones in the whole batch; here by those in the example. And the masks are those of
    ``mamlbench.api.noise_key_scope``: one for each layer and meta-iteration, shared by its tasks and inner steps:
    every engine computes the same.
    """

    Options = ResNet12Options

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        options: ResNet12Options = self.options
        channels, side = square_image(input_shape)
        if side < 2 ** len(GROWTH):
            raise ConfigError(f"images of {input_shape[1:]} are too small for {len(GROWTH)} poolings: use resnet18.")
        blocks = []
        for number, growth in enumerate(GROWTH):
            width = int(options.width * growth)
            blocks.append(Residual(channels, width, self._noise(number)))
            channels = width
        return nn.Sequential(*blocks, SpatialMean()), channels

    def _noise(self, block: int) -> list[StochasticLayer]:
        rate, size = self.options.drop_block, self.options.drop_block_size
        if not rate:
            return []
        return [DropBlock(rate, size) if block >= FIRST_DROP_BLOCK else Dropout(rate)]


def _convolution(channels: int, width: int, side: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, width, side, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, SLOPE, mode="fan_out", nonlinearity="leaky_relu")
    return convolution

"""ResNet-18 and VGG-16 as torchvision builds them, adapted to small images."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vgg import cfgs, make_layers

from mamlbench.api import Backbone
from mamlbench_plugins.backbones.conv4 import SpatialMean, square_image


class ResNet18(Backbone):
    """He et al. 2016 (arXiv 1512.03385), table 1, 18 layers, widths 64 to 512.

    Adapted: a 3x3 convolution of stride 1 in place of the 7x7 one of stride 2 and the max-pooling behind it, as is
    usual for images of 32x32; any number of channels; the head is one linear layer for the classes of a task.
    """

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        channels, _ = square_image(input_shape)
        network = ResNet(BasicBlock, [2, 2, 2, 2])
        width = network.fc.in_features
        network.conv1 = _initialized(nn.Conv2d(channels, network.conv1.out_channels, 3, padding=1, bias=False))
        network.maxpool = network.fc = nn.Identity()
        return network, width


class VGG16(Backbone):
    """Simonyan & Zisserman 2015 (arXiv 1409.1556), table 1, column D, with batch norm: 13 convolutions, 64 to 512 wide.

    Adapted: poolings round up, so that images of 28x28 or smaller outlast all five; the mean over height and width
    and one linear head in place of the three fully connected layers with dropout; any number of channels; no bias in
    the convolutions, since the batch norm behind each takes it out again.
    """

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        channels, _ = square_image(input_shape)
        layers = [*make_layers(cfgs["D"], batch_norm=True)]
        layers[0] = nn.Conv2d(channels, layers[0].out_channels, 3, padding=1)
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.Conv2d):
                layer.register_parameter("bias", None)
                width = _initialized(layer).out_channels
            elif isinstance(layer, nn.MaxPool2d):
                layers[place] = nn.MaxPool2d(2, ceil_mode=True)
        return nn.Sequential(*layers, SpatialMean()), width


def _initialized(convolution: nn.Conv2d) -> nn.Conv2d:
    """Initialize a convolution as torchvision does."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution

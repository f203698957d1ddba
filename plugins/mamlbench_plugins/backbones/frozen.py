"""Frozen encoders from files: weights of torchvision's or timm's networks, or the features of a model of mamlbench."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mamlbench.api import Backbone, ConfigError, Encoder, NameFamily, Normalization, Options, summarize_names
from mamlbench_plugins.backbones.named_networks import features_of_network

NORMALIZATIONS = {
    "imagenet": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": None,
}
"""Mean and standard deviation of red, green and blue that networks were trained with."""

IMAGE_SIZE = 224
"""Pixels on a side that most networks were trained with."""


class FrozenOptions(Options):
    """Options of a frozen encoder."""

    network: str = Field("", description="torchvision:NAME or timm:NAME, whose weights FILE.safetensors has")
    image_size: int | None = Field(None, ge=8, description="pixels on a side that images are resized to; none: 224")
    normalize: Literal["imagenet", "half", "none"] = Field(
        "imagenet", description="mean and deviation of colors that the weights were trained with; half: 0.5 and 0.5"
    )
    center: bool = Field(False, description="subtract the mean feature of the training images")
    cached: bool = Field(
        True, description="compute features once; if false, the network itself is run and can be tuned"
    )
    trained_classes: tuple[str, ...] | None = Field(
        None, description="names of the classes it was trained on; @FILE: those in FILE, one a line; none: not known"
    )

    @field_validator("trained_classes")
    @classmethod
    def _from_file(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Read the names of a file."""
        if names is None or not any(name.startswith("@") for name in names):
            return names
        lines = [_lines(name) if name.startswith("@") else [name] for name in names]
        return tuple(line for part in lines for line in part)


def _lines(name: str) -> list[str]:
    try:
        return Path(name[1:]).read_text(encoding="utf-8").split("\n")[:100_000]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the classes in '{name[1:]}' cannot be read ({error})") from error


class Frozen(Backbone, NameFamily):
    """``frozen:FILE``: what FILE is a network of computes features of every image once; a method learns from these.

    FILE.safetensors has the weights of the option ``network``; another FILE is the record or folder of a trained model.
    """

    Options = FrozenOptions
    example_shapes = ((16,),)

    def __init__(self, options: FrozenOptions) -> None:
        super().__init__(options)
        self.frozen, self.centered = options.cached, options.center
        file = Path(self.member)
        if file.suffix != ".safetensors":
            self.trained_model = file
            self._refuse_options_of_files()
        elif not options.network:
            raise ConfigError(
                f"'{self.member}' has weights without a network: name it, as in -o backbone.network=timm:resnet18."
            )

    def _refuse_options_of_files(self) -> None:
        """A model of mamlbench says itself what its network is and sees."""
        changed = {"network": "", "image_size": None, "normalize": "imagenet", "trained_classes": None}
        own = [f"backbone.{name}" for name, default in changed.items() if getattr(self.options, name) != default]
        if own:
            raise ConfigError(f"'{self.member}' is a model of mamlbench, which has {summarize_names(own)} of its own.")
        if not self.options.cached:
            raise ConfigError(
                f"'{self.member}' is a model of mamlbench: to tune its network itself, start from it by --init."
            )

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Features as they are, ``[n, d]``; or the network itself for images, if they are not cached."""
        if len(input_shape) == 1:
            return nn.Identity(), input_shape[0]
        encoder = self.encoder(input_shape)
        with torch.no_grad():
            width = encoder.network.eval()(torch.zeros(1, *encoder.shape)).flatten(1).shape[1]
        return NetworkOfImages(encoder), width

    def encoder(self, input_shape: tuple[int, ...]) -> Encoder:
        size = self.options.image_size or IMAGE_SIZE
        network = features_of_network(self.options.network, self._tensors())
        return Encoder(network, (3, size, size), NORMALIZATIONS[self.options.normalize], self.options.network)

    def encoding(self) -> str:
        options = self.options
        return repr((options.network, options.image_size, options.normalize))

    def weights_sha256(self) -> str:
        sha256: str = self._read(lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
        return sha256

    def seen_classes(self, dataset: str, classes: Collection[str]) -> Collection[str] | None:
        """The test classes whose names are among those that the user declares."""
        declared = self.options.trained_classes
        return None if declared is None else [name for name in classes if name in set(declared)]

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = self._read(load_file)
        return tensors

    def _read(self, read: Callable[[Path], Any]) -> Any:
        try:
            return read(Path(self.member))
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"The weights '{self.member}' cannot be read: {error}.") from error


class NetworkOfImages(nn.Module):
    """A network with what its images need before it: ``[n, C, H, W]`` with pixels in [0, 1] to ``[n, d]``."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.network, self.normalization, self.size = encoder.network, encoder.normalization, encoder.shape[-2:]

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1)
        if x.shape[-2:] != self.size:
            x = nn.functional.interpolate(x, size=self.size, mode="bilinear", antialias=True)
        if self.normalization is not None:
            mean, deviation = (
                x.new_tensor(part)[:, None, None] for part in (self.normalization.mean, self.normalization.deviation)
            )
            x = (x - mean) / deviation
        features: Tensor = self.network(x)
        return features.flatten(1)

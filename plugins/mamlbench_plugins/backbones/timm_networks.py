"""``timm:NAME``: the networks of the library timm, without their classifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from mamlbench.api import Backbone, ConfigError, NameFamily, Options
from mamlbench.errors import MissingDependencyError
from mamlbench_plugins.backbones.conv4 import square_image


class TimmOptions(Options):
    """Weights of a timm network, and the patches of a transformer."""

    weights: str = Field("", description="file of weights (.safetensors, .pth) to begin with; empty: from the seed")
    weights_sha256: str = Field("", description="of that file; filled in, and compared when the file is read")
    patch_size: int | None = Field(
        None, ge=1, le=512, description="side of the patches of a vision transformer; none: as its name says"
    )

    @model_validator(mode="before")
    @classmethod
    def _with_hash(cls, values: Any) -> Any:
        """The weights are a part of what is run, so that the spec's hash has to depend on their content."""
        if isinstance(values, dict) and values.get("weights") and not values.get("weights_sha256"):
            path = Path(str(values["weights"])).expanduser()
            if path.is_file():
                return {**values, "weights_sha256": _sha256(path)}
        return values


class TimmNetworks(Backbone, NameFamily):
    """A network of timm by its name there, such as resnet18 or vit_tiny_patch16_224, for images of any size.

    The classifier is left out: features are what timm passes to it. Without weights from a file, norms that timm begins
    at 0, so that residual blocks begin as nothing, begin at 1: an inner loop that leaves norms alone could never change
    those blocks. Attention is computed step by step (timm's
    ``fused_attn`` off), because the fused kernels have no second derivative, which second-order MAML needs.
    """

    Options: ClassVar[type[Options]] = TimmOptions
    options: TimmOptions

    @classmethod
    def known_members(cls) -> Collection[str]:
        return _names()

    @classmethod
    def of(cls, member: str) -> type[Self]:
        if find_spec("timm") is None:
            raise MissingDependencyError("it needs the library timm: pip install 'mamlbench[timm]'.")
        return super().of(member)

    def features(self, input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        channels, side = square_image(input_shape)
        try:
            network = self._create(channels, side)
            network.eval()
            with torch.no_grad():
                features = network(torch.zeros(1, *input_shape))  # [1, d]
        except (AssertionError, RuntimeError, ValueError, TypeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"timm's {self.member} cannot be built for images of {side} x {side}: {reason}"
            ) from error
        if features.ndim != 2:
            raise ConfigError(f"timm's {self.member} gives features of shape {list(features.shape)}, and not [n, d].")
        for module in network.modules():
            if getattr(module, "fused_attn", False):
                module.fused_attn = False  # type: ignore[assignment]
        if not self.options.weights:
            _begin_norms_at_one(network)
        return _without_norm_acts(network), features.shape[1]

    def _create(self, channels: int, side: int) -> nn.Module:
        """Build the network; transformers are built for the size of the images, others take any."""
        import timm

        arguments: dict[str, Any] = {"pretrained": False, "num_classes": 0, "in_chans": channels}
        if self.options.weights:
            arguments |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(self._weights())}}
        if self.options.patch_size is not None:
            arguments["patch_size"] = self.options.patch_size
        try:
            return timm.create_model(self.member, img_size=side, **arguments)  # type: ignore[no-any-return]
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            return timm.create_model(self.member, **arguments)  # type: ignore[no-any-return]

    def _weights(self) -> Path:
        """The file of weights. Raises ConfigError if it is missing, or another one than in the spec."""
        path = Path(self.options.weights).expanduser()
        if not path.is_file():
            raise ConfigError(f"There is no file of weights '{path}': name it with -o backbone.weights=FILE.")
        if _sha256(path) != self.options.weights_sha256:
            raise ConfigError(f"The weights in '{path}' are not those of the run: their SHA-256 differs.")
        return path


@cache
def _names() -> frozenset[str]:
    import timm

    names = timm.list_models()
    return frozenset([*names, *timm.list_models(include_tags=True)])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _begin_norms_at_one(network: nn.Module) -> None:
    for layer in network.modules():
        weight = getattr(layer, "weight", None)
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and weight is not None and not bool(weight.any()):
            nn.init.ones_(layer.weight)


def _without_norm_acts(network: nn.Module) -> nn.Module:
    """Replace timm's batch norm with an activation in it by the two layers, so that running statistics can go."""
    from timm.layers import BatchNormAct2d

    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, BatchNormAct2d):
                norm = nn.BatchNorm2d(layer.num_features, layer.eps, layer.momentum, layer.affine)
                norm.load_state_dict(
                    {key: value for key, value in layer.state_dict().items() if key in norm.state_dict()}
                )
                norm.train(layer.training)
                setattr(parent, name, nn.Sequential(norm, layer.drop, layer.act))
    return network

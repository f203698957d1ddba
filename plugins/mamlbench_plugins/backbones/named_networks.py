"""Networks of torchvision and timm by name, without their last linear layer, with given weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mamlbench.api import ConfigError, summarize_names
from mamlbench.errors import MissingDependencyError, did_you_mean

LIBRARIES = ("torchvision", "timm")
HEADS = ("fc", "classifier", "heads", "head")
"""Names that classification networks of torchvision give the part with their last linear layer."""


def features_of_network(name: str, weights: Mapping[str, Tensor]) -> nn.Module:
    """Make the network ``LIBRARY:NAME`` without its last linear layer: images to features.

    Args:
        name: ``torchvision:resnet18`` or ``timm:resnet18``.
        weights: tensors by name, as the library saves them; those of the last layer are not used.

    Raises ConfigError if there is no such network or the weights are those of another one.
    """
    library, _, network_name = name.partition(":")
    if library not in LIBRARIES or not network_name:
        raise ConfigError(f"'{name}' is no network: write torchvision:NAME or timm:NAME, as in torchvision:resnet18.")
    with torch.random.fork_rng(devices=[]):  # first values, which are replaced, leave no trace
        network = _from_torchvision(network_name) if library == "torchvision" else _from_timm(network_name)
    expected = set(network.state_dict())
    missing = sorted(key for key in expected - set(weights) if not key.endswith("num_batches_tracked"))
    if missing:
        raise ConfigError(f"These are not weights of {name}: {summarize_names(missing, 3)} are missing.")
    try:
        network.load_state_dict({key: value for key, value in weights.items() if key in expected}, strict=False)
    except RuntimeError as error:
        raise ConfigError(f"These are not weights of {name}: {_last_line(error)}") from error
    return network.float()


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1].strip()


def _from_torchvision(name: str) -> nn.Module:
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        raise ConfigError(f"torchvision has no classification network '{name}'.{did_you_mean(name, names)}")
    network: nn.Module = models.get_model(name, weights=None)
    for part in HEADS:
        head = getattr(network, part, None)
        if isinstance(head, nn.Linear):
            setattr(network, part, nn.Identity())
            return network
        last = [
            key for key, layer in (head.named_children() if head is not None else ()) if isinstance(layer, nn.Linear)
        ]
        if last:
            setattr(head, last[-1], nn.Identity())
            return network
    raise ConfigError(
        f"torchvision's '{name}' has no last linear layer that could be left out: choose another network."
    )


def _from_timm(name: str) -> nn.Module:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"'timm:{name}' needs timm: pip install 'mamlbench[timm]'.") from error
    names = timm.list_models()
    if name not in names:
        raise ConfigError(f"timm has no network '{name}'.{did_you_mean(name, names)}")
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    return network

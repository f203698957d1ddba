"""Networks of torchvision and timm without their last layer, with weights from a file."""

import sys

import pytest
import torch
from torchvision import models

from mamlbench.errors import ConfigError, MissingDependencyError
from mamlbench_plugins.backbones.named_networks import features_of_network


@pytest.mark.parametrize(
    ("name", "width"), [("shufflenet_v2_x0_5", 1024), ("squeezenet1_1", 0), ("mobilenet_v3_small", 1024)]
)
def test_the_last_linear_layer_is_left_out(name, width):
    whole = models.get_model(name, weights=None).eval()
    if not width:  # its last layer is a convolution
        with pytest.raises(ConfigError, match="no last linear layer"):
            features_of_network(f"torchvision:{name}", whole.state_dict())
        return
    features = features_of_network(f"torchvision:{name}", whole.state_dict()).eval()
    x = torch.rand(2, 3, 32, 32)
    last = [layer for layer in whole.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        assert features(x).shape == (2, width)
        torch.testing.assert_close(last(features(x)), whole(x))


def test_first_values_leave_the_random_state_as_it_is():
    weights = models.shufflenet_v2_x0_5(weights=None).state_dict()
    before = torch.get_rng_state()
    features_of_network("torchvision:shufflenet_v2_x0_5", weights)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_does_not_fit_is_named():
    weights = models.shufflenet_v2_x0_5(weights=None).state_dict()
    with pytest.raises(ConfigError, match="is no network: write"):
        features_of_network("shufflenet_v2_x0_5", weights)
    with pytest.raises(ConfigError, match="Did you mean 'shufflenet_v2_x0_5'"):
        features_of_network("torchvision:shufflenet_v2_x0_6", weights)
    with pytest.raises(ConfigError, match=r"not weights of torchvision:resnet50: .* are missing"):
        features_of_network("torchvision:resnet50", weights)
    with pytest.raises(
        ConfigError, match=r"not weights of torchvision:shufflenet_v2_x0_5: size mismatch for conv1.0.weight"
    ):
        features_of_network("torchvision:shufflenet_v2_x0_5", {**weights, "conv1.0.weight": torch.zeros(24, 1, 3, 3)})


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mamlbench\[timm\]'"):
        features_of_network("timm:shufflenet_v2_x0_5", {})

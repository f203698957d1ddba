"""The options of frozen encoders, and the network itself for methods that tune it."""

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import shufflenet_v2_x0_5

from mamlbench.errors import ConfigError
from mamlbench_plugins.backbones.frozen import Frozen


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(shufflenet_v2_x0_5(weights=None).state_dict(), path)
    return path


def frozen(member, **options):
    kind = Frozen.of(str(member))
    return kind(kind.Options(**options))


def test_cached_features_pass_as_they_are(weights):
    backbone = frozen(weights, network="torchvision:shufflenet_v2_x0_5", image_size=32)
    network = backbone.build((16,), 3)
    x = torch.rand(2, 16)
    assert backbone.frozen and torch.equal(network.features(x), x) and network(x).shape == (2, 3)
    encoder = backbone.encoder((1, 28, 28))
    assert encoder.shape == (3, 32, 32) and encoder.normalization.mean[0] == 0.485
    assert len(backbone.weights_sha256()) == 64


def test_the_network_itself_can_be_tuned(weights):
    backbone = frozen(weights, network="torchvision:shufflenet_v2_x0_5", image_size=32, cached=False)
    network = backbone.build((1, 28, 28), 3)
    assert not backbone.frozen
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 3)
    assert all(parameter.requires_grad for parameter in network.features.parameters())
    gray = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(network.features(gray), network.features(gray.expand(-1, 3, -1, -1)))
    plain = frozen(weights, network="torchvision:shufflenet_v2_x0_5", image_size=32, cached=False, normalize="none")
    assert not torch.equal(plain.build((1, 32, 32), 3).features(gray), network.features(gray))


def test_training_classes_are_declared_by_name_or_in_a_file(tmp_path, weights):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    names = (f"@{tmp_path / 'classes.txt'}", "bird")
    backbone = frozen(weights, network="torchvision:shufflenet_v2_x0_5", trained_classes=names)
    assert backbone.seen_classes("any", ["dog", "bird", "fish"]) == ["dog", "bird"]
    assert frozen(weights, network="torchvision:shufflenet_v2_x0_5").seen_classes("any", ["dog"]) is None
    with pytest.raises(ValueError, match="cannot be read"):
        frozen(weights, network="torchvision:shufflenet_v2_x0_5", trained_classes=("@missing.txt",))


def test_what_does_not_belong_together_is_refused(tmp_path, weights):
    with pytest.raises(ConfigError, match="weights without a network"):
        frozen(weights)
    with pytest.raises(ConfigError, match=r"has backbone\.image_size of its own"):
        frozen("results/run.json", image_size=32)
    with pytest.raises(ConfigError, match="start from it by --init"):
        frozen("results/run.json", cached=False)
    with pytest.raises(ConfigError, match="cannot be read"):
        frozen(tmp_path / "missing.safetensors", network="torchvision:shufflenet_v2_x0_5").weights_sha256()

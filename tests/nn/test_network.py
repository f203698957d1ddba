"""The network that a backbone builds."""

import pytest
import torch
from torch import nn

from mamlbench.api import Backbone, BatchNorm, Options
from mamlbench.errors import ConfigError


def build(*layers, width=12, shape=(3, 2, 2)):
    class Fixed(Backbone):
        def features(self, input_shape):
            return nn.Sequential(*layers), width

    return Fixed(Options()).build(shape, 5)


def test_a_network_has_features_and_a_linear_head():
    network = build(nn.Flatten())
    x = torch.randn(7, 3, 2, 2)
    assert network(x).shape == (7, 5) and network.input_shape == (3, 2, 2)
    assert torch.equal(network(x), network.head(network.features(x)))
    assert network.head.weight.shape == (5, 12)


def test_torchs_batch_norms_lose_their_running_statistics_and_nothing_else():
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16)))
    names, parameters = zip(*plain.named_parameters(), strict=True)
    network = build(*plain, width=16)
    assert [name for name, _ in network.features.named_parameters()] and not list(network.buffers())
    built = dict(network.features.named_parameters())
    assert set(built) == set(names) and all(built[n] is p for n, p in zip(names, parameters, strict=True))
    assert sum(type(layer) is BatchNorm for layer in network.modules()) == 2
    x = torch.randn(6, 3, 2, 2)
    expected = network.head(plain.train()(x))
    torch.testing.assert_close(network(x), expected)


def test_a_layer_used_twice_stays_one_layer():
    norm = nn.BatchNorm2d(3)
    network = build(norm, nn.ReLU(), norm, nn.Flatten())
    assert type(network.features[0]) is BatchNorm and network.features[0].weight is network.features[2].weight


def test_nothing_works_in_place():
    network = build(nn.ReLU(inplace=True), nn.Sequential(nn.LeakyReLU(0.1, inplace=True)), nn.Flatten())
    assert not any(getattr(layer, "inplace", False) for layer in network.modules())


@pytest.mark.parametrize("layer", [nn.InstanceNorm2d(3, track_running_stats=True), nn.SyncBatchNorm(3)])
def test_other_running_statistics_are_refused(layer):
    with pytest.raises(ConfigError, match=rf"'features\.0' is {type(layer).__name__}.*mamlbench\.api\.BatchNorm"):
        build(layer, nn.Flatten())

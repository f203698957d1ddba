"""The network that a backbone builds."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mamlbench.api import Backbone, BatchNorm, Dropout, Options, noise_key_scope
from mamlbench.errors import ConfigError
from mamlbench.nn.dropout import ChannelDropout


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


# ------------------------------------------------------------------------------------------ training and test behavior


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Dropout(0.4), Dropout),
        (nn.Dropout1d(0.4), ChannelDropout),
        (nn.Dropout2d(0.4), ChannelDropout),
        (nn.Dropout3d(0.4, inplace=True), ChannelDropout),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_torchs_dropout_is_off_at_test_and_on_in_training(layer, kind):
    network = build(layer, nn.Sequential(layer), nn.Flatten(), width=12)
    assert [type(layer) for layer in network.modules()].count(kind) == 1, "used twice, it stays one layer"
    x = torch.ones(50, 3, 2, 2)
    for _ in range(2):
        assert torch.equal(network.features(x), x.flatten(1)), "at test it returns its input"
    with noise_key_scope(1):
        first, again = network.features(x), network.features(x)
    with noise_key_scope(2):
        other = network.features(x)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.unique().tolist() == pytest.approx([0, (1 / 0.6) ** 2])
    if kind is ChannelDropout:
        assert all(len(channel.unique()) == 1 for channel in first.view(150, 4))


class CustomDropout(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, self.training)


class AlwaysNoisy(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


@pytest.mark.parametrize(
    "layer",
    [nn.AlphaDropout(0.5), nn.FeatureAlphaDropout(0.5), nn.RReLU(), CustomDropout(), AlwaysNoisy(), nn.Dropout(1.0)],
    ids=lambda layer: type(layer).__name__,
)
def test_other_layers_with_two_behaviors_are_refused(layer):
    with pytest.raises(ConfigError, match=rf"other outputs in training than .*features\.1' \({type(layer).__name__}"):
        build(nn.Identity(), layer, nn.Flatten())


def test_looking_for_two_behaviors_draws_no_random_number():
    """The parameters of a seed are the same ones as without it."""

    def drawn(builds):
        torch.manual_seed(0)
        network = build(nn.Conv2d(3, 4, 2), nn.Dropout(0.5), nn.Flatten(), width=4) if builds else None
        if network is None:
            nn.Sequential(nn.Conv2d(3, 4, 2), nn.Linear(4, 5))
        return torch.rand(3)

    assert torch.equal(drawn(True), drawn(False))


def test_a_network_that_cannot_be_run_is_no_other_error():
    network = build(nn.Linear(7, 3), nn.Flatten())
    assert not network.training


@pytest.mark.parametrize("layer", [nn.InstanceNorm2d(3, track_running_stats=True), nn.SyncBatchNorm(3)])
def test_other_running_statistics_are_refused(layer):
    with pytest.raises(ConfigError, match=rf"'features\.0' is {type(layer).__name__}.*mamlbench\.api\.BatchNorm"):
        build(layer, nn.Flatten())

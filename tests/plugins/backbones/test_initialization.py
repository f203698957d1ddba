"""First weights of layers, as the published codes draw them, and the borders of pooling."""

import math

import pytest
import torch
from torch import nn

from mamlbench.plugin import load_plugins


def build(name, shape, outputs=5, **options):
    plugin = load_plugins().registry.load("backbone", name)
    torch.manual_seed(0)
    return plugin(plugin.Options(**options)).build(shape, outputs)


@pytest.mark.parametrize(
    ("initialization", "deviation", "limit"),
    [
        ("xavier", math.sqrt(2 / (64 + 200)), math.sqrt(6 / (64 + 200))),
        ("normal", 1.0, math.inf),
        ("truncated", 0.01 * 0.8796, 0.02),  # a normal distribution cut at two deviations has 0.8796 of its deviation
    ],
)
def test_the_head_is_drawn_as_named(initialization, deviation, limit):
    head = build("conv4-strided", (1, 28, 28), outputs=200, head_init=initialization).head
    assert float(head.weight.detach().std()) == pytest.approx(deviation, rel=0.03)
    assert float(head.weight.detach().abs().max()) <= limit and not head.bias.any()


def test_torchs_default_has_biases():
    assert build("conv4-strided", (1, 28, 28)).head.bias.any()
    assert build("mlp", (1,), outputs=1, hidden=[40, 40], norm=False).head.bias.any()


def test_all_layers_of_the_fully_connected_network_are_drawn_alike():
    network = build("mlp", (1, 28, 28), init="truncated")
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert len(layers) == 5
    for layer in layers:
        assert (
            float(layer.weight.detach().std()) == pytest.approx(0.0088, rel=0.1)
            and float(layer.weight.detach().abs().max()) <= 0.02
        )


@pytest.mark.parametrize(
    ("initialization", "deviation"),
    [
        ("xavier", math.sqrt(2 / (9 * 64 + 9 * 64))),
        ("he", math.sqrt(2 / (9 * 64))),
        ("torch", math.sqrt(1 / (3 * 9 * 64))),
    ],
)
def test_convolutions_are_drawn_as_named(initialization, deviation):
    second = build("conv4-pooled", (3, 84, 84), width=64, init=initialization).features[4]
    assert float(second.weight.detach().std()) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize(("border", "features"), [("valid", 800), ("same", 1152)])
def test_the_border_decides_the_number_of_features(border, features):
    network = build("conv4-pooled", (3, 84, 84), border=border, width=32)
    assert network.head.in_features == features
    with torch.no_grad():
        assert network(torch.rand(2, 3, 84, 84)).shape == (2, 5)


@pytest.mark.parametrize("name", ["conv4-strided", "conv4-pooled", "mlp"])
def test_what_is_added_to_the_variance_reaches_every_layer(name):
    network = build(name, (1, 28, 28), eps=0.5)
    assert {module.eps for module in network.modules() if hasattr(module, "eps")} == {0.5}
    x = torch.rand(4, 1, 28, 28)
    with torch.no_grad():
        assert not torch.allclose(network(x), build(name, (1, 28, 28))(x), rtol=1e-2)

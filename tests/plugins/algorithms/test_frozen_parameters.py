"""Parameters that do not require a gradient stay as the backbone made them, in every method and engine."""

import pytest
import torch
from torch import nn

from mamlbench.api import Backbone, Examples, Options
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins

NAMES = [
    entry.name
    for entry in load_plugins().registry.entries("algorithm")
    if entry.origin == "mamlbench" and "classification" in entry.load().kinds
]
FROZEN = ("features.0.weight", "features.0.bias", "features.1.weight")


class Pretrained(Backbone):
    """Its first convolution and the scale of the batch norm behind it are frozen."""

    def features(self, input_shape):
        convolution, norm = nn.Conv2d(input_shape[0], 4, 3, 2), nn.BatchNorm2d(4)
        for parameter in (convolution.weight, convolution.bias, norm.weight):
            parameter.requires_grad_(False)
        rest = (nn.Conv2d(4, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        return nn.Sequential(convolution, norm, nn.ReLU(), *rest), 16


class FrozenFeatures(Backbone):
    """All features are frozen; the head is not."""

    def features(self, input_shape):
        return nn.Sequential(nn.Conv2d(input_shape[0], 4, 3, 4), nn.ReLU(), nn.Flatten()).requires_grad_(False), 36


class AllFrozen(FrozenFeatures):
    """Nothing can be trained."""

    def head(self, features, outputs):
        return nn.Linear(features, outputs).requires_grad_(False)


def trained(make_algorithm, make_batch, name, engine, backbone=Pretrained):
    """Algorithm after two updates, and the predictions of the tasks that it then adapts to."""
    algorithm, batch = make_algorithm(name, engine, backbone=backbone(Options())), make_batch()
    examples = make_batch(tasks=3)
    pooled = Examples(examples.support.x.flatten(0, 1), torch.arange(18) % 7)
    for _ in range(2):
        algorithm.apply(algorithm.compute_update(batch if algorithm.trains_on == "episodes" else pooled))
    return algorithm, algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "inductive")


@pytest.mark.parametrize("name", NAMES)
def test_no_method_adapts_or_trains_them(make_algorithm, make_batch, name):
    before = make_algorithm(name, backbone=Pretrained(Options()))
    algorithm, outputs = trained(make_algorithm, make_batch, name, VmapEngine())
    assert not [key for key in algorithm.state() if key.endswith(FROZEN)]
    network, initial = (dict(one.model.network.named_parameters()) for one in (algorithm, before))
    assert all(torch.equal(network[key], initial[key]) for key in FROZEN)
    was = before.state()
    changed = [key for key, value in algorithm.state().items() if key in was and not torch.equal(value, was[key])]
    assert any("features.3.weight" in key for key in changed), "the others are trained"
    _, by_loop = trained(make_algorithm, make_batch, name, LoopEngine())
    torch.testing.assert_close(outputs, by_loop, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["maml", "reptile", "anil", "pretrain"])
def test_frozen_features_under_a_head_that_is_trained(make_algorithm, make_batch, name):
    algorithm, _ = trained(make_algorithm, make_batch, name, VmapEngine(), FrozenFeatures)
    assert set(algorithm.model.names) == {"head.weight", "head.bias"}
    assert not [key for key in algorithm.state() if "features" in key]


def test_frozen_parameters_are_as_good_as_ones_that_get_no_gradient(make_algorithm, make_batch):
    """MAML on frozen features is ANIL's inner loop, and only the head of its meta-parameters moves."""
    maml, outputs = trained(make_algorithm, make_batch, "maml", VmapEngine(), FrozenFeatures)
    anil, of_anil = trained(make_algorithm, make_batch, "anil", VmapEngine(), FrozenFeatures)
    torch.testing.assert_close(outputs, of_anil, rtol=1e-9, atol=1e-11)
    assert maml.state().keys() == anil.state().keys()


def test_a_network_without_a_parameter_to_train_is_refused(make_algorithm):
    with pytest.raises(ConfigError, match=r"every parameter .*requires_grad"):
        make_algorithm("maml", backbone=AllFrozen(Options()))

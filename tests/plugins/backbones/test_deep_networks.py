"""ResNet-12, ResNet-18 and VGG-16: shapes, features, and gradients of both engines."""

import pytest
import torch
from torch import nn
from torchvision import models

from mamlbench.api import BatchNorm, Model
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins

NAMES = ["resnet12", "resnet18", "vgg16"]
WIDTHS = {"resnet12": 640, "resnet18": 512, "vgg16": 512}


def backbone(name, **options):
    plugin = load_plugins().registry.load("backbone", name)
    return plugin(plugin.Options(**options))


def small(name):
    return backbone(name, **({"width": 4} if name == "resnet12" else {}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=str)
def test_features_and_head(name, shape):
    network = backbone(name).build(shape, 5)
    x = torch.rand(2, *shape)
    with torch.no_grad():
        features = network.features(x)
        assert features.shape == (2, WIDTHS[name])
        assert torch.equal(network(x), network.head(features)) and network(x).shape == (2, 5)
    assert not list(network.buffers()), "no running statistics"


def convolutions(network):
    return [m.weight.shape for m in network.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.slow
def test_widths_and_depth_are_torchvisions():
    built = convolutions(backbone("resnet18").build((3, 32, 32), 5))
    reference = convolutions(models.resnet18())
    assert built[1:] == reference[1:] and built[0] == (64, 3, 3, 3)
    assert convolutions(backbone("vgg16").build((3, 32, 32), 5)) == convolutions(models.vgg16_bn().features)


def test_resnet12_has_twelve_layers_in_four_blocks():
    network = backbone("resnet12").build((3, 84, 84), 5)
    shapes = convolutions(network)
    assert sum(shape[2:] == (3, 3) for shape in shapes) == 12 and sum(shape[2:] == (1, 1) for shape in shapes) == 4
    assert sorted({shape[0] for shape in shapes}) == [64, 160, 320, 640]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_inductive_predictions_do_not_depend_on_other_queries(name):
    """A query example is normalized by the support set."""
    model = Model(small(name).build((1, 16, 16), 3).double())
    parameters = model.initial_parameters()
    support, query = (torch.rand(4, 1, 16, 16, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        together = model.predict(parameters, support, query, "inductive")
        alone = torch.cat([model.predict(parameters, support, one[None], "inductive") for one in query])
        own = model.predict(parameters, query, query, "inductive")
        torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(own, model(parameters, query), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_engines_agree_on_the_meta_gradient(make_algorithm, make_batch, name):
    size = 16 if name == "resnet12" else 8
    batch = make_batch(tasks=2, ways=2, shots=2, queries=2, shape=(1, size, size))
    loop, vmap = (
        make_algorithm("maml", engine, backbone=small(name), shape=(1, size, size), inner_lr=0.01)
        .compute_update(batch)
        .sums
        for engine in (LoopEngine(), VmapEngine())
    )
    for key, value in loop.items():
        assert float(value.abs().max()) > 0, key
        assert float((vmap[key] - value).norm()) < 1e-8 * float(value.norm()), key


def test_every_batch_norm_has_a_scale_and_a_bias():
    for name in NAMES:
        layers = [m for m in small(name).build((1, 16, 16), 3).modules() if isinstance(m, BatchNorm)]
        assert layers and all(m.weight is not None for m in layers)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ConfigError, match="too small for 4 poolings: use resnet18"):
        backbone("resnet12").build((1, 14, 14), 5)
    with pytest.raises(ConfigError, match="square images"):
        backbone("vgg16").build((40,), 5)

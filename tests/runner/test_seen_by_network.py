"""Weights that were trained elsewhere: noticed without being declared, and declared by their backbone."""

import pytest
from torch import nn

from mamlbench.plugin import load_plugins
from mamlbench.runner.seen_by_network import weights_from_elsewhere

SHAPES = {"mlp": (1, 14, 14), "conv4-strided": (1, 28, 28), "conv4-pooled": (1, 28, 28), "resnet12": (3, 32, 32)}


class Features(nn.Module):
    """A backbone's features with one layer that is always the same."""

    def __init__(self, value):
        super().__init__()
        self.drawn = nn.Linear(4, 4)
        self.constant = nn.Parameter(nn.init.ones_(self.drawn.weight.clone()))
        self.loaded = nn.Parameter(value, requires_grad=False)


class Loads:
    """Makes these features, whatever the shape."""

    value = nn.Linear(4, 4).weight.detach()

    def features(self, input_shape):
        return Features(self.value.clone()), 4


def test_what_is_neither_drawn_nor_constant_comes_from_elsewhere():
    assert weights_from_elsewhere(Loads, (4,), seed=0) == ["loaded"]


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_networks_that_ship_are_drawn_from_the_seed(name, shape, seed):
    plugin = load_plugins().registry.load("backbone", name)
    assert weights_from_elsewhere(lambda: plugin(plugin.Options()), shape, seed) == []


PRETRAINED = """
import mamlbench
import torch
from mamlbench.api import Backbone
from torch import nn


class Pretrained(Backbone):
    def features(self, input_shape):
        layer = nn.Linear(14 * 14, 8)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            nn.init.normal_(layer.weight)
        return nn.Sequential(nn.Flatten(), layer), 8


class Declared(Pretrained):
    def seen_classes(self, dataset, classes):
        return [name for name in classes if dataset == "toy" and name.endswith("/3")]


class Harmless(Pretrained):
    def seen_classes(self, dataset, classes):
        return ()


@mamlbench.hookimpl
def mamlbench_register_backbones(register):
    register("pretrained", Pretrained)
    register("declared", Declared)
    register("harmless", Harmless)
"""
WEIGHTS = "backbone 'pretrained' has weights that do not come from the seed (1.weight) and does not say what they were"


@pytest.mark.parametrize(
    ("backbone", "answer", "reason"),
    [
        ("pretrained", "unknown", WEIGHTS),
        ("declared", "seen", "its weights from elsewhere were trained on 1 of 15 test classes (test/3)"),
        ("harmless", "not seen", None),
    ],
)
def test_a_backbone_says_what_its_weights_have_seen(project, toy_plugin, backbone, answer, reason):
    project.write(own=PRETRAINED)
    command = ["--algo", "protonet", "--dataset", "toy", "--backbone", backbone, "--ways", "3", "--train-ways", "3"]
    command += ["--iterations", "1", "--test-episodes", "4", "--validation-episodes", "2", "--engine", "loop", "-q"]
    shown = project.run("run", "--plugin", "own.py", "--plugin", str(toy_plugin), *command).out
    (record,) = project.records()
    seen = record.test.seen
    assert (seen.answer, seen.classes) == (answer, int(answer == "seen"))
    assert not seen.reasons if reason is None else seen.reasons[0].startswith(reason)
    assert ("‡ protonet: its weights from elsewhere" in " ".join(shown.split())) == (answer == "seen")

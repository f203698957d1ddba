"""Each peer computes mamlbench's own meta-gradient; without its library it says so."""

import importlib
import os
import sys

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from mamlbench.api import EpisodeBatch, Examples, PeerTraining, PeerWork
from mamlbench.plugin import load_plugins
from mamlbench_plugins.optional_packages import PEERS

TASKS, WAYS, INNER_LR, STEPS = 3, 3, 0.3, 2
NAMES = ["learn2learn", "higher", "torchopt", "iteryne"]


def needs(name):
    """Skip if the library is not installed; of learn2learn fail if everything is required, as its own package does."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        required = os.environ.get("MAMLBENCH_REQUIRE_ALL") == "1" and sys.version_info[:2] == (3, 11)
        if name == "learn2learn" and required:
            pytest.fail(f"{error} (MAMLBENCH_REQUIRE_ALL=1)")
        pytest.skip(f"{name} is not installed: {error}")


def load(name):
    return load_plugins().registry.load("peer", name)()


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.Tanh(), nn.Linear(5, WAYS)).double()


def make_batch():
    generator = torch.Generator().manual_seed(1)

    def examples(per_class):
        x = torch.rand(TASKS, WAYS * per_class, 1, 3, 3, generator=generator, dtype=torch.float64)
        return Examples(x, torch.arange(WAYS).repeat_interleave(per_class).expand(TASKS, -1))

    return EpisodeBatch(examples(2), examples(3), torch.arange(TASKS))


def make_work(*, first_order):
    return PeerWork(make_network(), nn.functional.cross_entropy, make_batch(), INNER_LR, STEPS, first_order)


def meta_gradient(work):
    """The meta-gradient summed over tasks, by torch.func."""
    theta = {name: value.detach() for name, value in work.network.named_parameters()}

    def loss(theta, examples):
        return work.loss(functional_call(work.network, theta, (examples.x,)), examples.y)

    def outer_loss(theta, support, query):
        for _ in range(work.steps):
            gradient = grad(loss)(theta, support)
            gradient = {name: value.detach() if work.first_order else value for name, value in gradient.items()}
            theta = {name: value - work.inner_lr * gradient[name] for name, value in theta.items()}
        return loss(theta, query)

    by_task = vmap(grad(outer_loss), (None, 0, 0))(theta, work.batch.support, work.batch.query)
    return {name: value.sum(0) for name, value in by_task.items()}


def test_the_entry_point_registers_every_peer_that_mamlbench_knows_of():
    entries = load_plugins().registry.entries("peer")
    assert {entry.name for entry in entries if entry.origin == "mamlbench-peers"} == set(PEERS) == set(NAMES)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_peer_computes_the_meta_gradient(name, first_order):
    needs(name)
    work = make_work(first_order=first_order)
    if (name, first_order) == ("torchopt", True):
        with pytest.raises(NotImplementedError, match="no first-order variant"):
            load(name).iteration(work)
        return
    expected = meta_gradient(work)
    iteration = load(name).iteration(work)
    for _ in range(2):  # the second iteration adds nothing to the first
        iteration()
        for parameter_name, parameter in work.network.named_parameters():
            torch.testing.assert_close(parameter.grad, expected[parameter_name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_without_its_library_a_peer_raises_import_error(monkeypatch, name):
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=name):
        load(name).iteration(make_work(first_order=False))


def test_learn2learn_trains_on_its_own_episodes():
    needs("learn2learn")
    images, generator = 24, torch.Generator().manual_seed(2)
    work = PeerTraining(
        network=make_network(),
        loss=nn.functional.cross_entropy,
        x=torch.rand(images, 1, 3, 3, generator=generator, dtype=torch.float64),
        y=torch.arange(images) // 4,
        rotations=False,
        ways=WAYS,
        shots=1,
        queries=2,
        tasks=2,
        inner_lr=INNER_LR,
        outer_lr=0.01,
        steps=1,
        first_order=False,
    )
    before = {name: value.detach().clone() for name, value in work.network.named_parameters()}
    iteration = load("learn2learn").training(work)
    iteration()
    assert all(not torch.equal(value, before[name]) for name, value in work.network.named_parameters())

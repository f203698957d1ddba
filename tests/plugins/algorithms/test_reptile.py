"""Reptile against the same mathematics written with torch.optim.Adam."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mamlbench.api import minibatch_order
from mamlbench_plugins.algorithms.persistent_reptile import PersistentReptile
from mamlbench_plugins.algorithms.reptile import Reptile

STEPS, SIZE, RATE = 4, 4, 0.01


def reference_run(algorithm, batch, *, persistent):
    """The original code's structure: one network and one Adam; before each task the weights are put back."""
    network, meta = algorithm.model.network, algorithm.meta
    weights = {name: value.clone().requires_grad_() for name, value in meta.items()}
    sums = {name: torch.zeros_like(value) for name, value in meta.items()}
    optimizer = None
    for task in range(batch.tasks):
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(meta[name])
        if optimizer is None or not persistent:
            optimizer = torch.optim.Adam(weights.values(), lr=RATE, betas=(0.0, 0.999))
        for step in range(STEPS):
            order = minibatch_order(batch.keys[task : task + 1], batch.support.y.shape[1], SIZE, step)[0]
            outputs = functional_call(network, weights, (batch.support.x[task, order],))
            optimizer.zero_grad()
            nn.functional.cross_entropy(outputs, batch.support.y[task, order]).backward()
            optimizer.step()
        for name, value in weights.items():
            sums[name] += value.detach() - meta[name]
    return sums


@pytest.mark.parametrize("moments", ["fresh", "persistent"])
def test_the_update_equals_torch_adam(make_algorithm, make_batch, moments):
    options = {"train_steps": STEPS, "inner_batch_size": SIZE, "inner_lr": RATE, "inner_optimizer_state": moments}
    algorithm, batch = make_algorithm("reptile", **options), make_batch(tasks=3)
    reference = reference_run(algorithm, batch, persistent=moments == "persistent")
    update = algorithm.compute_update(batch)
    for name, value in update.sums.items():
        torch.testing.assert_close(value, reference[name], rtol=1e-8, atol=1e-10)


def test_persistent_moments_run_on_and_do_not_change_before_apply(make_algorithm, make_batch):
    algorithm = make_algorithm("reptile", train_steps=2, inner_optimizer_state="persistent")
    update = algorithm.compute_update(make_batch(tasks=3))
    assert float(algorithm.moments.steps) == 0
    algorithm.apply(update)
    assert float(algorithm.moments.steps) == 6
    before = {name: value.clone() for name, value in algorithm.moments.second.items()}
    batch = make_batch(tasks=2)
    algorithm.adapt(batch.support, batch.keys)  # an evaluation leaves them as they are
    assert float(algorithm.moments.steps) == 6
    assert all(torch.equal(before[name], value) for name, value in algorithm.moments.second.items())


def test_apply_interpolates_with_a_falling_step(make_algorithm, make_batch):
    algorithm = make_algorithm("reptile", iterations=4, outer_lr=0.8, train_steps=2)
    for expected in (0.8, 0.6, 0.4, 0.2):
        before = {name: value.clone() for name, value in algorithm.meta.items()}
        update = algorithm.compute_update(make_batch())
        algorithm.apply(update)
        for name, value in algorithm.meta.items():
            torch.testing.assert_close(value, before[name] + expected * update.mean[name])


@pytest.mark.parametrize(("moments", "kind"), [("fresh", Reptile), ("persistent", PersistentReptile)])
def test_the_option_decides_which_class_is_built(make_algorithm, moments, kind):
    algorithm = make_algorithm("reptile", inner_optimizer_state=moments)
    assert type(algorithm) is kind
    assert algorithm.additive == (moments == "fresh")


def test_a_run_with_persistent_moments_can_be_resumed(make_algorithm, make_batch):
    options = {"train_steps": 2, "inner_optimizer_state": "persistent"}
    first, second = make_algorithm("reptile", **options), make_algorithm("reptile", **options)
    first.apply(first.compute_update(make_batch(tasks=2)))
    second.load_state(first.state())
    ours, reference = (algorithm.compute_update(make_batch(tasks=2)) for algorithm in (second, first))
    assert all(torch.equal(ours.sums[name], value) for name, value in reference.sums.items())
    second.moments.second["head.bias"].add_(1)
    assert not torch.equal(first.moments.second["head.bias"], second.moments.second["head.bias"]), "a copy was loaded"

"""MAML++: without its extras it is MAML; each extra does what it is described to do."""

import pytest
import torch

from mamlbench.api import Examples
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench_plugins.algorithms.maml_plus_plus import weights
from mamlbench_plugins.backbones.conv4 import StridedConv4

PLAIN = {
    "learned_rates": False,
    "per_step_norm": False,
    "multi_step_fraction": 0.0,
    "first_order_fraction": 0.0,
    "inner_lr": 0.3,
}
ENGINES = [LoopEngine(), VmapEngine()]


def assert_same(ours, reference, names):
    assert names
    for name in names:
        torch.testing.assert_close(ours[name], reference[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("reference", ["maml", "fomaml"])
def test_without_extras_it_is_maml(make_algorithm, make_batch, engine, steps, reference):
    options = {**PLAIN, "train_steps": steps, "first_order_fraction": float(reference == "fomaml")}
    ours = make_algorithm("maml++", engine, **options).compute_update(make_batch())
    other = make_algorithm(reference, engine, train_steps=steps, inner_lr=0.3).compute_update(make_batch())
    assert float(ours.loss) == pytest.approx(float(other.loss), rel=1e-10)
    assert ours.sums.keys() == other.sums.keys()
    assert_same(ours.sums, other.sums, other.sums)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_with_one_step_the_per_step_parameters_are_mamls(make_algorithm, make_batch, engine):
    options = {**PLAIN, "train_steps": 1, "per_step_norm": True, "learned_rates": True, "multi_step_fraction": 0.5}
    ours = make_algorithm("maml++", engine, **options).compute_update(make_batch())
    other = make_algorithm("maml", engine, train_steps=1, inner_lr=0.3).compute_update(make_batch())
    sums = {name: value.reshape(other.sums[name].shape) for name, value in ours.sums.items() if name in other.sums}
    assert_same(sums, other.sums, other.sums)


def test_equal_rates_and_norms_of_each_step_share_out_mamls_gradient(make_algorithm, make_batch):
    """The gradient by a shared batch-norm bias is the sum of those by each step's own."""
    ours = (
        make_algorithm("maml++", **{**PLAIN, "train_steps": 3, "per_step_norm": True}).compute_update(make_batch()).sums
    )
    other = make_algorithm("maml", train_steps=3, inner_lr=0.3).compute_update(make_batch()).sums
    biases = make_algorithm("maml").model.norm_names
    assert_same({name: v.sum(0) if name in biases else v for name, v in ours.items()}, other, other)
    assert all(bool((ours[name].abs().amax(1) > 0).all()) for name in biases), "every step's own is used"


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("first_order_fraction", [0.0, 1.0])
def test_the_gradient_by_the_rates(make_algorithm, make_batch, engine, first_order_fraction):
    """Second order: central differences. First order, one step: −⟨support, query gradient⟩ for each tensor."""
    options = {
        **PLAIN,
        "learned_rates": True,
        "first_order_fraction": first_order_fraction,
        "train_steps": 1 if first_order_fraction else 2,
    }
    algorithm, batch = make_algorithm("maml++", engine, **options), make_batch(tasks=1)
    sums = algorithm.compute_update(batch).sums
    if first_order_fraction:
        support, query = (Examples(part.x[0], part.y[0]) for part in (batch.support, batch.query))
        plain = make_algorithm("maml", inner_lr=0.3)
        gradient = torch.func.grad(plain.loss)(plain.meta, support)
        after = torch.func.grad(plain.loss)(plain.step(plain.meta, support), query)
        for name in algorithm.adapted:
            expected = -(gradient[name] * after[name]).sum()
            torch.testing.assert_close(sums[f"rate.{name}"], expected[None], rtol=1e-9, atol=1e-12)
    else:
        h = 1e-6
        for place in range(2):
            losses = []
            for sign in (1, -1):
                algorithm.meta["rate.head.weight"][place] += sign * h
                losses.append(float(algorithm.compute_update(batch).loss))
                algorithm.meta["rate.head.weight"][place] -= sign * h
            expected = (losses[0] - losses[1]) / (2 * h)
            assert float(sums["rate.head.weight"][place]) == pytest.approx(expected, rel=1e-4)


def test_multi_step_loss_is_the_weighted_sum_after_each_step(make_algorithm, make_batch):
    batch = make_batch(tasks=1)
    ours = float(
        make_algorithm("maml++", **{**PLAIN, "train_steps": 3, "multi_step_fraction": 1.0}).compute_update(batch).loss
    )
    after = [
        float(make_algorithm("maml", train_steps=steps, inner_lr=0.3).compute_update(batch).loss) for steps in (1, 2, 3)
    ]
    assert ours == pytest.approx(sum(after) / 3, rel=1e-10)


@pytest.mark.parametrize("done", [0.0, 0.05, 0.099, 0.1, 1.0])
def test_weights_of_the_steps_add_up_and_move_to_the_last(done):
    five = weights(5, done, 0.1)
    assert sum(five) == pytest.approx(1)
    assert min(five) >= 0 and max(five) == pytest.approx(five[-1])
    assert weights(5, 0.0, 0.1) == pytest.approx([0.2] * 5)
    assert weights(5, 0.1, 0.1) == weights(5, 0.0, 0.0) == [0, 0, 0, 0, 1]
    assert weights(1, done, 0.1) == [1]


def test_phases_follow_the_iterations(make_algorithm, make_batch):
    """Of ten iterations three of first order: the fourth update is of second order."""
    options = {**PLAIN, "train_steps": 2, "outer_lr": 1e-9}
    algorithm = make_algorithm("maml++", iterations=10, **{**options, "first_order_fraction": 0.25})
    first, second = (
        make_algorithm(name, train_steps=2, inner_lr=0.3).compute_update(make_batch()) for name in ("fomaml", "maml")
    )
    for iteration in range(5):
        update = algorithm.compute_update(make_batch())
        expected = first if iteration < 3 else second
        for name, value in expected.sums.items():
            torch.testing.assert_close(update.sums[name], value, rtol=1e-5, atol=1e-6)
        algorithm.apply(update)


def test_batch_norm_parameters_are_learned_for_each_step_but_not_adapted(make_algorithm, make_batch):
    backbone = StridedConv4(StridedConv4.Options(width=4, scale=True))
    algorithm, batch = make_algorithm("maml++", backbone=backbone, train_steps=2, test_steps=4), make_batch(tasks=2)
    norm = algorithm.model.norm_names
    assert {"features.1.bias", "features.1.weight"} <= norm
    assert all(algorithm.meta[name].shape == (2, 4) for name in norm)
    for name in norm:
        algorithm.meta[name][1] += 0.5
    support = Examples(batch.support.x[0], batch.support.y[0])
    state = algorithm.init(algorithm.meta, support)
    for number in range(4):
        at = algorithm.meta["features.1.bias"][0 if number <= 1 else 1]
        assert torch.equal(algorithm.parameters(state)["features.1.bias"], at), "after step 1 still the first"
        state = algorithm.step(state, support)
    assert len(list(algorithm.adaptation(batch.support, batch.keys))) == 5, "more steps than were trained"

"""BOIL: the inner loop changes all but the head."""

import torch

from mamlbench.api import Examples


def test_the_inner_loop_leaves_the_head_alone(make_algorithm, make_batch):
    boil, maml = (make_algorithm(name, inner_lr=0.3) for name in ("boil", "maml"))
    batch = make_batch(tasks=1)
    support = Examples(batch.support.x[0], batch.support.y[0])
    state, of_maml = (method.step(method.init(method.meta, support), support) for method in (boil, maml))
    for name, value in state.items():
        if name.startswith("head."):
            assert torch.equal(value, boil.meta[name])
        else:
            assert torch.equal(value, of_maml[name]), "one step of the body is MAML's"
    assert set(boil.adapted) == {name for name in maml.adapted if name.startswith("features.")}


def test_the_outer_loop_learns_the_head_too(make_algorithm, make_batch):
    algorithm = make_algorithm("boil")
    update = algorithm.compute_update(make_batch())
    assert all(float(update.sums[name].abs().max()) > 0 for name in ("head.weight", "head.bias"))


def test_batch_norm_may_be_adapted(make_algorithm):
    assert set(make_algorithm("boil", adapt_norm=True).adapted) - set(make_algorithm("boil").adapted)

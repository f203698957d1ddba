"""What the compiler is given can be traced whole; compiling itself takes minutes, and the engine's check judges it."""

import functools

import pytest
import torch

from mamlbench.engine import VmapEngine, make_engine


@pytest.mark.parametrize("name", ["maml", "fomaml", "anil", "meta-sgd"])
def test_the_gradient_is_traced_whole_and_is_the_same(make_algorithm, make_batch, name, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    engine = make_engine("vmap+compiled")
    ours = make_algorithm(name, engine, train_steps=2).compute_update(make_batch(tasks=2))
    theirs = make_algorithm(name, VmapEngine(), train_steps=2).compute_update(make_batch(tasks=2))
    for each, value in theirs.sums.items():
        torch.testing.assert_close(ours.sums[each], value, rtol=1e-9, atol=1e-12)

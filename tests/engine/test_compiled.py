"""torch.compile traces the whole gradient; compiling itself takes minutes and is tested by the engine's check."""

import functools

import pytest
import torch

from mamlbench.engine import VmapEngine, make_engine


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maml", "fomaml", "anil", "meta-sgd"])
def test_the_gradient_is_traced_as_one_graph_and_is_that_of_vmap(make_algorithm, make_batch, name, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    engine = make_engine("vmap+compiled")
    compiled = make_algorithm(name, engine, train_steps=2).compute_update(make_batch(tasks=2))
    expected = make_algorithm(name, VmapEngine(), train_steps=2).compute_update(make_batch(tasks=2))
    for parameter, value in expected.sums.items():
        torch.testing.assert_close(compiled.sums[parameter], value, rtol=1e-9, atol=1e-12)

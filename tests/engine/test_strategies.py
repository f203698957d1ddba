"""Every strategy gives the same numbers."""

import pytest
import torch

from mamlbench.engine import LoopEngine, VmapEngine

MODES = ["transductive", "inductive", "support+query"]
OPTIONS = {
    "maml": {"test_steps": 2},
    "fomaml": {"test_steps": 2},
    "reptile": {"test_steps": 4, "test_batch": 4},
    "pretrain": {"test_steps": 3, "finetune": "all"},
}


@pytest.mark.parametrize("engine", [VmapEngine(), VmapEngine(chunk=2)], ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_adaptation_and_prediction_agree_with_the_loop(make_algorithm, make_batch, name, engine):
    batch = make_batch(tasks=3)
    learners = [
        list(make_algorithm(name, each, **OPTIONS[name]).adaptation(batch.support, batch.keys))
        for each in (engine, LoopEngine())
    ]
    assert len(learners[0]) == len(learners[1]) == OPTIONS[name]["test_steps"] + 1
    for ours, reference in zip(*learners, strict=True):
        for mode in MODES:
            outputs, expected = ours.predict(batch.query.x, mode), reference.predict(batch.query.x, mode)
            assert outputs.shape == (3, 6, 3)
            torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-11)


def test_reptile_direction_agrees_with_the_loop(make_algorithm, make_batch):
    batch = make_batch(tasks=3)
    ours, reference = (
        make_algorithm("reptile", engine, train_steps=4, train_batch=4).direction(batch)
        for engine in (VmapEngine(), LoopEngine())
    )
    for name, value in ours.sums.items():
        torch.testing.assert_close(value, reference.sums[name], rtol=1e-9, atol=1e-12)

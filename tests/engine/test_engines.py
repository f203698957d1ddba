"""Every engine gives the same numbers."""

import pytest
import torch

from mamlbench.api import EpisodeBatch, tree_map
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.plugin import load_plugins

MODES = ["transductive", "inductive", "support+query"]
OPTIONS = {
    "maml": {"test_steps": 2},
    "fomaml": {"test_steps": 2},
    "reptile": {"test_steps": 4, "test_batch_size": 4},
    "pretrain": {"test_steps": 3, "finetune": "all"},
    "anil": {"test_steps": 2},
    "meta-sgd": {"test_steps": 2},
    "maml++": {"train_steps": 2, "test_steps": 3},
    "imaml": {"test_steps": 2},
    "protonet": {},
    "baseline++": {"test_steps": 2},
    "r2d2": {},
    "metaoptnet": {},
    "boil": {"test_steps": 2},
    "cavia": {"test_steps": 2},
    "sign-maml": {"test_steps": 2},
    "unicorn-maml": {"test_steps": 2},
    "meta-curvature": {"test_steps": 2},
    "sharp-maml": {"test_steps": 2},
    "proto-maml": {"test_steps": 2},
    "meta-baseline": {},
    "simpleshot": {},
    "matching-networks": {},
    "linear-probe": {"test_steps": 3},
    "finetune": {"test_steps": 3},
    "logistic": {"test_steps": 3},
    "nearest-neighbor": {},
}


def test_no_method_that_ships_is_left_out():
    entries = [entry for entry in load_plugins().registry.entries("algorithm") if entry.origin == "mamlbench"]
    assert set(OPTIONS) == {entry.name for entry in entries if "classification" in entry.load().kinds}


@pytest.mark.parametrize("engine", [VmapEngine(), VmapEngine(chunk=2)], ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_adaptation_and_prediction_agree_with_the_loop(make_algorithm, make_batch, name, engine):
    batch = make_batch(tasks=3)
    adaptations = [
        list(make_algorithm(name, tested, **OPTIONS[name]).adaptation(batch.support, batch.keys))
        for tested in (engine, LoopEngine())
    ]
    assert len(adaptations[0]) == len(adaptations[1]) == OPTIONS[name].get("test_steps", 0) + 1
    for computed, reference in zip(*adaptations, strict=True):
        for mode in MODES:
            outputs, expected = computed.predict(batch.query.x, mode), reference.predict(batch.query.x, mode)
            assert outputs.shape == (3, 6, 3)
            torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-11)


UPDATES = {
    "reptile": {"train_steps": 4, "inner_batch_size": 4},
    "anil": {"train_steps": 2},
    "meta-sgd": {"train_steps": 2},
    "maml++": {"train_steps": 3},
    "imaml": {"train_steps": 3},
    "protonet": {},
    "r2d2": {"learned_ridge": True},
    "metaoptnet": {},
    "boil": {"train_steps": 2},
    "cavia": {"train_steps": 2},
    "sign-maml": {"train_steps": 2},
    "unicorn-maml": {"train_steps": 2},
    "meta-curvature": {"train_steps": 2},
    "sharp-maml": {"train_steps": 2, "outer_radius": 0.01},
    "proto-maml": {"train_steps": 2},
    "meta-baseline": {"joint_norm": True},
    "matching-networks": {},
}


@pytest.mark.parametrize("name", sorted(UPDATES))
def test_updates_agree_with_the_loop(make_algorithm, make_batch, name):
    batch = make_batch(tasks=3)
    vectorized, chunked, reference = (
        make_algorithm(name, engine, **UPDATES[name]).compute_update(batch)
        for engine in (VmapEngine(), VmapEngine(chunk=2), LoopEngine())
    )
    assert float(vectorized.loss) == pytest.approx(float(reference.loss), rel=1e-9)
    for key, value in vectorized.sums.items():
        torch.testing.assert_close(value, reference.sums[key], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(chunked.sums[key], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine(), VmapEngine(chunk=2)], ids=lambda engine: engine.name)
@pytest.mark.parametrize("classes", [None, torch.arange(9).view(3, 3)], ids=["without classes", "with classes"])
def test_a_whole_batch_can_be_mapped_with_and_without_classes(make_batch, engine, classes):
    batch = make_batch(tasks=3)._replace(classes=classes)
    sums = engine.map(lambda task: task.support.x.sum() + (0 if task.classes is None else task.classes.sum()), batch)
    expected = batch.support.x.flatten(1).sum(1) + (0 if classes is None else classes.sum(1))
    torch.testing.assert_close(sums, expected)


def test_a_batch_made_by_position_has_no_classes(make_batch):
    batch = make_batch(tasks=3)
    assert EpisodeBatch(batch.support, batch.query, batch.keys).classes is None
    halves = tree_map(lambda leaf: leaf[:1], batch)
    assert halves.tasks == 1 and halves.classes is None

"""Full fine-tuning is pretraining whose test-time steps change all layers."""

import torch


def test_all_layers_are_tuned(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("finetune", test_steps=3), make_batch(tasks=2)
    states = algorithm.adapt(batch.support, batch.keys).states
    assert set(states.tuned) == set(algorithm.meta)
    assert any(
        not torch.equal(states.tuned["features.0.weight"][0], value) for value in [algorithm.meta["features.0.weight"]]
    )


def test_it_is_pretraining_with_other_defaults(make_algorithm, make_batch):
    batch = make_batch(tasks=2)
    plain = {"finetune_lr": 0.1, "momentum": 0.5, "dampening": 0.2, "weight_decay": 0.01, "test_steps": 4}
    outputs, same = (
        make_algorithm(name, finetune="all", **plain)
        .adapt(batch.support, batch.keys)
        .predict(batch.query.x, "inductive")
        for name in ("finetune", "pretrain")
    )
    assert torch.equal(outputs, same)
    head = make_algorithm("finetune", finetune="head", test_steps=2).adapt(batch.support, batch.keys)
    assert all(name.startswith("head.") for name in head.states.tuned)

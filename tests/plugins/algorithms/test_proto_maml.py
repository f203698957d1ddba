"""Proto-MAML: a prototypical network whose head and features are adapted."""

import torch

from mamlbench.api import Examples


def test_without_steps_it_is_a_prototypical_network(make_algorithm, make_batch):
    batch = make_batch(tasks=2)
    proto, network = make_algorithm("proto-maml", train_steps=0, test_steps=0), make_algorithm("protonet")
    update, expected = proto.compute_update(batch), network.compute_update(batch)
    for name, value in expected.sums.items():
        torch.testing.assert_close(update.sums[name], value, rtol=1e-9, atol=1e-12)
    outputs, same = (
        method.adapt(batch.support, batch.keys).predict(batch.query.x, "inductive") for method in (proto, network)
    )
    torch.testing.assert_close(outputs, same, rtol=1e-9, atol=1e-12)


def test_its_steps_are_mamls_from_the_prototypes(make_algorithm, make_batch):
    proto, maml = (make_algorithm(name, inner_lr=0.05) for name in ("proto-maml", "maml"))
    batch = make_batch(tasks=1)
    support = Examples(batch.support.x[0], batch.support.y[0])
    start = proto.init(proto.meta, support)
    after, expected = (method.step(start, support) for method in (proto, maml))
    assert all(torch.equal(after[name], expected[name]) for name in expected)
    assert not torch.equal(after["head.weight"], start["head.weight"])


def test_it_trains_with_other_ways_than_it_is_tested_with(make_algorithm, make_batch):
    algorithm = make_algorithm("proto-maml")
    algorithm.apply(algorithm.compute_update(make_batch(tasks=2, ways=5)))
    batch = make_batch(tasks=2)
    assert algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "inductive").shape == (2, 6, 3)

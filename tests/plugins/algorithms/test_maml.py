"""MAML's options do what they say."""

import pytest
import torch


def test_per_shot_reduction_is_the_number_of_classes_times_the_mean(make_algorithm, make_batch):
    """Trap 1 of the published numbers: with as many queries as shots, the original loss is N times the mean."""
    batch = make_batch(tasks=1, ways=3, shots=2, queries=2)
    query = type(batch.query)(batch.query.x[0], batch.query.y[0])
    mean, per_shot = (make_algorithm("maml", loss_reduction=each) for each in ("mean", "per-shot"))
    assert float(per_shot.loss(per_shot.meta, query)) == pytest.approx(3 * float(mean.loss(mean.meta, query)))
    slow = make_algorithm("maml", loss_reduction="per-shot", inner_lr=0.1)
    fast = make_algorithm("maml", loss_reduction="mean", inner_lr=0.3)
    for ours, other in zip(slow.step(slow.meta, query).values(), fast.step(fast.meta, query).values(), strict=True):
        torch.testing.assert_close(ours, other)


@pytest.mark.parametrize("adapt_norm", [True, False])
def test_batch_norm_is_adapted_only_where_asked(make_algorithm, make_batch, adapt_norm):
    algorithm, batch = make_algorithm("maml", adapt_norm=adapt_norm), make_batch(tasks=1)
    adapted = algorithm.step(algorithm.meta, type(batch.support)(batch.support.x[0], batch.support.y[0]))
    changed = {name for name in adapted if not torch.equal(adapted[name], algorithm.meta[name])}
    norm = algorithm.model.norm_names
    assert norm and changed >= set(adapted) - norm
    assert bool(changed & norm) == adapt_norm


def test_the_batch_norm_bias_is_meta_learned_either_way(make_algorithm, make_batch):
    algorithm = make_algorithm("maml")
    sums = algorithm.compute_update(make_batch()).sums
    assert all(float(sums[name].abs().max()) > 0 for name in algorithm.model.norm_names)


def test_clip_bounds_each_element_of_the_mean_gradient(make_algorithm, make_batch):
    algorithm = make_algorithm("maml", clip=1e-4, outer_optimizer="sgd", outer_lr=1.0)
    before = {name: value.clone() for name, value in algorithm.meta.items()}
    algorithm.apply(algorithm.compute_update(make_batch()))
    moves = torch.cat([(before[name] - value).abs().flatten() for name, value in algorithm.meta.items()])
    assert float(moves.max()) == pytest.approx(1e-4)
    assert float(moves.min()) < 1e-4

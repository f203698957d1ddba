"""MAML's options, and its two losses."""

import pytest
import torch

from mamlbench_plugins.algorithms.maml import MAML


def test_per_shot_reduction_is_the_number_of_classes_times_the_mean(make_algorithm, make_batch):
    """Trap 1 of the published numbers: with as many queries as shots, the original loss is N times the mean."""
    batch = make_batch(tasks=1, ways=3, shots=2, queries=2)
    query = type(batch.query)(batch.query.x[0], batch.query.y[0])
    mean, per_shot = (make_algorithm("maml", loss_reduction=reduction) for reduction in ("mean", "per-shot"))
    assert float(per_shot.loss(per_shot.meta, query)) == pytest.approx(3 * float(mean.loss(mean.meta, query)))
    slow = make_algorithm("maml", loss_reduction="per-shot", inner_lr=0.1)
    fast = make_algorithm("maml", loss_reduction="mean", inner_lr=0.3)
    for per_shot, mean in zip(slow.step(slow.meta, query).values(), fast.step(fast.meta, query).values(), strict=True):
        torch.testing.assert_close(per_shot, mean)


@pytest.mark.parametrize("adapt_norm", [True, False])
def test_batch_norm_is_adapted_only_if_the_option_is_set(make_algorithm, make_batch, adapt_norm):
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


class Decayed(MAML):
    """MAML whose inner loss has an L2 term."""

    def inner_loss(self, state, support):
        return super().inner_loss(state, support) + 0.5 * state.dot(state)


def test_a_term_of_the_inner_loss_changes_the_inner_loop_alone(make_algorithm, make_batch):
    plain, decayed = make_algorithm("maml", inner_lr=0.1), make_algorithm("maml", inner_lr=0.1)
    decayed.__class__ = Decayed
    batch = make_batch(tasks=1)
    support, query = (type(part)(part.x[0], part.y[0]) for part in (batch.support, batch.query))
    adapted, expected = decayed.step(decayed.meta, support), plain.step(plain.meta, support)
    for name in plain.adapted:
        torch.testing.assert_close(adapted[name], expected[name] - 0.1 * plain.meta[name])
    assert torch.equal(decayed.loss(adapted, query), plain.loss(adapted, query))
    update = decayed.compute_update(batch)
    assert torch.equal(update.loss, plain.loss(adapted, query)), "the outer loss is without the term"

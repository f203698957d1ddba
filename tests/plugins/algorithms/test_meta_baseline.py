"""Meta-Baseline by hand: scaled cosines to the class means."""

import torch
from torch.nn.functional import cosine_similarity, cross_entropy


def by_hand(algorithm, batch, task, scale):
    support, query = (algorithm.model.features(algorithm.meta, part.x[task]) for part in batch[:2])
    means = torch.stack([support[batch.support.y[task] == k].mean(0) for k in range(3)])
    return scale * cosine_similarity(query[:, None], means[None], dim=-1)


def test_logits_are_scaled_cosines(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("meta-baseline", scale=7.0), make_batch(tasks=2)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    for task in range(2):
        torch.testing.assert_close(outputs[task], by_hand(algorithm, batch, task, 7.0), rtol=1e-8, atol=1e-10)


def test_the_scale_is_learned(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("meta-baseline", scale=7.0), make_batch(tasks=1)
    scale = torch.tensor(7.0, dtype=torch.float64, requires_grad=True)
    loss = cross_entropy(by_hand(algorithm, batch, 0, scale), batch.query.y[0])
    (gradient,) = torch.autograd.grad(loss, [scale])
    torch.testing.assert_close(algorithm.compute_update(batch).sums["learned.scale"], gradient, rtol=1e-8, atol=1e-10)

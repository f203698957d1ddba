"""Matching networks by hand: an attention over the support set."""

import torch
from torch.nn.functional import cosine_similarity


def test_probabilities_are_attention_weighted_labels(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("matching-networks", scale=3.0), make_batch(tasks=2)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    for task in range(2):
        support, query = (algorithm.model.features(algorithm.meta, part.x[task]) for part in batch[:2])
        attention = (3.0 * cosine_similarity(query[:, None], support[None], dim=-1)).softmax(-1)  # [6, 6]
        y = batch.support.y[task]
        by_hand = torch.stack([attention[:, y == k].sum(-1) for k in range(3)], -1)
        torch.testing.assert_close(outputs[task].exp(), by_hand, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(outputs[task].softmax(-1), by_hand, rtol=1e-8, atol=1e-10)


def test_the_loss_is_the_negative_log_probability(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("matching-networks"), make_batch(tasks=1)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")[0]
    expected = -outputs[torch.arange(6), batch.query.y[0]].mean()
    torch.testing.assert_close(algorithm.compute_update(batch).loss, expected, rtol=1e-9, atol=1e-12)

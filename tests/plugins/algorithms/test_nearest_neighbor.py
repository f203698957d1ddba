"""Nearest neighbor by hand."""

import pytest
import torch

from mamlbench.engine import LoopEngine, VmapEngine


@pytest.mark.parametrize("engine", [LoopEngine(), VmapEngine()], ids=lambda engine: engine.name)
def test_a_query_gets_the_class_of_the_most_similar_example(make_algorithm, make_batch, engine):
    algorithm, batch = make_algorithm("nearest-neighbor", engine, scale=3.0), make_batch(tasks=2)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    for task in range(2):
        support, query = (
            algorithm.model.features(algorithm.meta, part.x[task]) for part in (batch.support, batch.query)
        )
        cosines = torch.nn.functional.cosine_similarity(query[:, None], support[None], dim=-1)
        by_hand = [cosines[:, batch.support.y[task] == label].amax(1) for label in range(3)]
        torch.testing.assert_close(outputs[task], 3.0 * torch.stack(by_hand, 1), rtol=1e-8, atol=1e-10)


def test_a_class_without_an_example_is_never_the_nearest(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("nearest-neighbor"), make_batch(tasks=1)
    support = batch.support._replace(y=batch.support.y.clamp(max=1))
    outputs = algorithm.adapt(support, batch.keys).predict(batch.query.x, "transductive")
    assert bool(outputs.isfinite().all()) and int(outputs.argmax(-1).max()) <= 1

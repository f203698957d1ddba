"""SimpleShot by hand: the nearest class mean among centered, normalized features."""

import pytest
import torch
from torch.nn.functional import normalize

from mamlbench.api import Examples


def labeled(make_batch):
    batch = make_batch(tasks=3)
    return Examples(batch.support.x.flatten(0, 1), torch.arange(18) % 7)


@pytest.mark.parametrize("transform", ["CL2N", "L2N", "UN"])
def test_a_query_gets_the_class_of_the_nearest_transformed_mean(make_algorithm, make_batch, transform):
    algorithm, batch = make_algorithm("simpleshot", transform=transform), make_batch(tasks=2)
    center = torch.linspace(-1, 1, 4, dtype=torch.float64)
    algorithm.meta["center"].copy_(center)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")

    def transformed(x):
        features = algorithm.model.features(algorithm.meta, x)
        return {"CL2N": normalize(features - center), "L2N": normalize(features), "UN": features}[transform]

    for task in range(2):
        support, query = transformed(batch.support.x[task]), transformed(batch.query.x[task])
        means = torch.stack([support[batch.support.y[task] == k].mean(0) for k in range(3)])
        distances = (query[:, None] - means[None]).square().sum(-1)
        torch.testing.assert_close(outputs[task].softmax(-1), (-distances).softmax(-1), rtol=1e-8, atol=1e-10)


def test_the_mean_feature_runs_along_with_training(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("simpleshot"), labeled(make_batch)
    mean = algorithm.pooled_model.features(algorithm.meta, batch.x).mean(0).detach()
    algorithm.apply(algorithm.compute_update(batch))
    torch.testing.assert_close(algorithm.meta["center"], 0.1 * mean, rtol=1e-9, atol=1e-12)


def test_it_trains_as_pretraining_does(make_algorithm, make_batch):
    batch = labeled(make_batch)
    simple, pretrain = make_algorithm("simpleshot"), make_algorithm("pretrain")
    for algorithm in (simple, pretrain):
        for _ in range(2):
            algorithm.apply(algorithm.compute_update(batch))
    assert all(torch.equal(simple.meta[name], value) for name, value in pretrain.meta.items())

import pytest
import torch
from torch import nn
from torch.func import grad, vmap

from mamlbench.api import BatchNorm, Model, Network
from mamlbench.run_spec import MODES

T, N, Q, WAYS = 3, 6, 5, 4


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=["conv", "flat"])
def setting(request):
    """A model in float64 with the parameters, support and query inputs of T tasks."""
    torch.manual_seed(0)
    if request.param == "conv":
        features = nn.Sequential(
            nn.Conv2d(2, 4, 3), BatchNorm(4), nn.ReLU(), nn.Conv2d(4, 3, 2), BatchNorm(3, scale=True), nn.Flatten()
        )
        shape, width = (2, 5, 5), 12
    else:
        features, shape, width = nn.Sequential(nn.Linear(7, 9), BatchNorm(9), nn.ReLU()), (7,), 9
    model = Model(Network(features, nn.Linear(width, WAYS)).double())
    tasks = {
        name: value + 0.1 * random(T, *value.shape, seed=number)
        for number, (name, value) in enumerate(model.initial_parameters().items())
    }
    return model, tasks, random(T, N, *shape, seed=100), random(T, Q, *shape, seed=101)


def one(tree, task):
    return {name: value[task] for name, value in tree.items()}


@pytest.mark.parametrize("mode", MODES)
def test_predictions_vectorized_over_tasks_equal_a_loop(setting, mode):
    model, parameters, support, query = setting
    vectorized = vmap(lambda p, s, x: model.predict(p, s, x, mode))(parameters, support, query)
    assert vectorized.dtype == torch.float64
    for task in range(T):
        expected = model.predict(one(parameters, task), support[task], query[task], mode)
        torch.testing.assert_close(vectorized[task], expected, rtol=0, atol=1e-12)


def _outputs_that_change_with_the_last_query(setting, mode):
    """Whether each query example's output changes."""
    model, parameters, support, query = setting
    changed = query.clone()
    changed[:, -1] = 5 * random(*query[:, -1].shape, seed=7)
    before = vmap(lambda p, s, x: model.predict(p, s, x, mode))(parameters, support, query)
    after = vmap(lambda p, s, x: model.predict(p, s, x, mode))(parameters, support, changed)
    return (before - after).abs().amax((0, 2)) > 1e-9


@pytest.mark.parametrize("mode", ["inductive", "support+query"])
def test_no_query_example_influences_another(setting, mode):
    assert _outputs_that_change_with_the_last_query(setting, mode).tolist() == [False] * (Q - 1) + [True]


def test_transductive_query_examples_influence_each_other(setting):
    assert _outputs_that_change_with_the_last_query(setting, "transductive").all()


@pytest.mark.parametrize("mode", MODES)
def test_the_order_of_the_query_examples_does_not_matter(setting, mode):
    model, parameters, support, query = setting
    p, s, x = one(parameters, 0), support[0], query[0]
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(
        model.predict(p, s, x[order], mode), model.predict(p, s, x, mode)[order], rtol=0, atol=1e-12
    )


def test_transductive_is_a_plain_pass_over_the_query_set(setting):
    model, parameters, support, query = setting
    p = one(parameters, 0)
    expected = model(p, query[0])
    assert torch.equal(model.predict(p, support[0], query[0], "transductive"), expected)
    assert torch.equal(model.predict(p, random(*support[0].shape, seed=8), query[0], "transductive"), expected)


def test_inductive_is_torchs_evaluation_with_the_statistics_of_the_support_set(setting):
    model, parameters, support, query = setting
    p = one(parameters, 0)
    reference = _with_torchs_layers(model.network, p)
    reference.train()
    reference(support[0])  # momentum 1: the running statistics become those of this batch
    n = {name: b for name, b in reference.named_buffers() if name.endswith("running_var")}
    for (name, variance), (_, biased) in zip(n.items(), model.statistics(p, support[0]), strict=True):
        assert variance.shape == biased.shape, name
        variance.copy_(biased)  # torch keeps the unbiased variance
    reference.eval()
    torch.testing.assert_close(
        model.predict(p, support[0], query[0], "inductive"), reference(query[0]), rtol=0, atol=1e-10
    )


def _with_torchs_layers(network, parameters):
    layers = []
    for layer in [*network.features, network.head]:
        if isinstance(layer, BatchNorm):
            features = layer.bias.numel()
            kind = nn.BatchNorm2d if any(isinstance(other, nn.Conv2d) for other in network.features) else nn.BatchNorm1d
            layers.append(kind(features, momentum=1.0).double())
        else:
            layers.append(layer)
    reference = nn.Sequential(*layers)
    names = [name for name, _ in Network(nn.Sequential(*layers[:-1]), layers[-1]).named_parameters()]
    with torch.no_grad():
        for name, target in zip(names, reference.parameters(), strict=True):
            if name in parameters:  # a BatchNorm without scale has no weight: torch's is 1
                target.copy_(parameters[name])
    return reference


def test_support_and_query_equals_a_loop_over_the_query_examples(setting):
    model, parameters, support, query = setting
    p = one(parameters, 0)
    outputs = model.predict(p, support[0], query[0], "support+query")
    for index, example in enumerate(query[0]):
        expected = model(p, torch.cat([support[0], example[None]]))[-1]
        torch.testing.assert_close(outputs[index], expected, rtol=0, atol=1e-12)


def test_statistics_come_from_one_pass_with_the_task_parameters(setting):
    model, parameters, support, _ = setting
    p = one(parameters, 1)
    first, *_ = model.statistics(p, support[1])
    before_norm = model.network.features[0]
    x = torch.func.functional_call(
        before_norm, {k.removeprefix("features.0."): v for k, v in p.items() if k.startswith("features.0.")}, support[1]
    )
    dims = [0, *range(2, x.ndim)]
    torch.testing.assert_close(first[0], x.mean(dims), rtol=0, atol=1e-12)
    torch.testing.assert_close(first[1], x.var(dims, correction=0), rtol=0, atol=1e-12)
    assert len(model.statistics(p, support[1])) == sum(isinstance(m, BatchNorm) for m in model.network.modules())


def test_gradients_are_by_the_parameters_and_do_not_change_the_network(setting):
    model, parameters, support, _ = setting
    before = model.initial_parameters()
    gradient = vmap(grad(lambda p, x: model(p, x).square().sum()))(parameters, support)
    assert set(gradient) == set(before)
    for name in gradient:
        assert gradient[name].shape == parameters[name].shape
    after = model.initial_parameters()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(value.grad is None for value in model.network.parameters())


def test_initial_parameters_are_copies(setting):
    model = setting[0]
    copies = model.initial_parameters()
    for value in copies.values():
        value.zero_()
    assert all(value.abs().sum() > 0 for name, value in model.initial_parameters().items() if name.startswith("head"))


def test_features_followed_by_head_equal_the_model(setting):
    model, parameters, support, _ = setting
    p = one(parameters, 0)
    features = model.features(p, support[0])
    assert features.ndim == 2
    assert torch.equal(model.head(p, features), model(p, support[0]))


def test_norm_names_are_the_parameters_of_the_batch_norm_layers(setting):
    model = setting[0]
    norms = {"features.1.bias", "features.4.bias", "features.4.weight"}
    assert model.norm_names == (norms if len(model.network.features) == 6 else {"features.1.bias"})
    assert model.norm_names < set(model.initial_parameters())

"""The mode 'running': what torch's networks compute after ``eval()`` with statistics of training batches."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mamlbench.api import EpisodeBatch, Examples
from mamlbench.errors import ConfigError
from mamlbench.run_spec import TEST_MODES, Protocol, RunRequest
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.launch import launch
from mamlbench.runner.meter import Meter
from mamlbench.runner.plan import plan
from mamlbench.runner.running_statistics import BATCHES, in_test_mode, measure_running_statistics
from mamlbench.runner.scoring import score_episodes
from mamlbench.runner.shuffled_episodes import adaptation_to_shuffled

SMALL = {"dataset": "toy", "ways": 3, "options": {"backbone.width": 4}, "precision": "float64", "engine": "vmap"}


@pytest.fixture(scope="module")
def experiment_of(plugins, folders):
    def build(algorithm, **request):
        (spec,) = plan(RunRequest(algorithms=(algorithm,), **{**SMALL, **request}), plugins)
        return build_experiment(spec, plugins, load_dataset(spec, plugins, folders))

    return build


def torch_network(experiment, statistics):
    """The same strided network of torch's own layers, in evaluation."""
    parameters, layers = dict(experiment.algorithm.model.initial_parameters()), []
    for number, (mean, variance) in enumerate(statistics):
        weight = parameters[f"features.{3 * number}.weight"]
        convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, stride=2, padding=1, bias=False).double()
        norm = nn.BatchNorm2d(weight.shape[0]).double()
        convolution.weight.data, norm.bias.data = weight, parameters[f"features.{3 * number + 1}.bias"]
        norm.running_mean, norm.running_var = mean, variance
        layers += [convolution, norm, nn.ReLU()]
    return nn.Sequential(*layers).eval()


def test_support_and_queries_are_normalized_as_torch_does_in_evaluation(experiment_of):
    experiment = experiment_of("protonet")
    statistics = measure_running_statistics(experiment)
    batch = experiment.episodes("test", 0, 2, experiment.spec.protocol)
    with in_test_mode("running", statistics):
        (adapted,) = adaptation_to_shuffled(experiment.algorithm, [batch])
        outputs = adapted.predict("running")[0]
    network = torch_network(experiment, statistics)
    with torch.no_grad():
        support, query = (network(part.x.flatten(0, 1)).mean((2, 3)) for part in batch[:2])
    support, query = support.view(2, 3, -1), query.view(2, 3, -1)  # one example of each class
    distances = (query[:, :, None] - support[:, None]).square().sum(-1)
    torch.testing.assert_close(outputs.softmax(-1), (-distances).softmax(-1), rtol=1e-9, atol=1e-12)


def test_they_are_means_over_training_batches(experiment_of):
    for name in ("pretrain", "maml"):
        experiment = experiment_of(name, meta_batch_size=6, iterations=5)
        x = [
            experiment.training_batch(5 + number).x if name == "pretrain" else episode(experiment, 30 + number)
            for number in range(BATCHES)
        ]
        convolve = experiment.algorithm.model.network.features[0].double()
        with torch.no_grad():
            maps = [convolve(images) for images in x]
        means = torch.stack([values.mean((0, 2, 3)) for values in maps]).mean(0)
        variances = torch.stack([values.var((0, 2, 3), correction=0) for values in maps]).mean(0)
        mean, variance = measure_running_statistics(experiment)[0]
        torch.testing.assert_close(mean, means, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(variance, variances, rtol=1e-9, atol=1e-12)


def episode(experiment, number):
    drawn = experiment.episodes("train", number, 1, experiment.spec.training)
    return torch.cat([drawn.support.x[0], drawn.query.x[0]])


@pytest.mark.parametrize("name", ["maml", "maml++", "reptile", "pretrain", "anil"])
def test_a_prediction_depends_on_that_query_alone(experiment_of, name):
    experiment = experiment_of(name, options={"backbone.width": 16, "test_steps": 2})
    statistics = measure_running_statistics(experiment)
    batch = experiment.episodes("test", 0, 2, experiment.spec.protocol)
    x = batch.query.x.clone()
    x[:, 1:] = x[:, 1:].flip(-1, -2)
    with in_test_mode("running", statistics):
        outputs = [
            last(experiment, batch._replace(query=Examples(images, batch.query.y))) for images in (batch.query.x, x)
        ]
    torch.testing.assert_close(outputs[0][:, 0], outputs[1][:, 0], rtol=1e-9, atol=1e-12)
    assert not torch.allclose(outputs[0][:, 1], outputs[1][:, 1])


def last(experiment, batch: EpisodeBatch):
    *_, adapted = adaptation_to_shuffled(experiment.algorithm, [batch])
    return adapted.predict("running")[0]


def test_adaptation_of_its_own_leaves_the_other_modes_as_they_are(experiment_of):
    experiment = experiment_of("fomaml")
    alone = Protocol(ways=3, modes=("transductive", "inductive"), validation_episodes=4)
    both = Protocol(ways=3, modes=("transductive", "running", "inductive"), validation_episodes=4)
    first, second = (
        score_episodes(experiment, experiment.algorithm, "val", protocol, Meter(experiment.device))
        for protocol in (alone, both)
    )
    assert list(second.final["accuracy"]) == ["transductive", "running", "inductive"]
    for mode in alone.modes:
        assert torch.equal(first.final["accuracy"][mode], second.final["accuracy"][mode])
    assert torch.equal(first.after_step["accuracy"], second.after_step["accuracy"])


def test_a_run_reports_every_mode_and_selects_by_the_first(plugins, folders):
    request = RunRequest(
        algorithms=("protonet",),
        **{**SMALL, "modes": TEST_MODES[::-1]},
        iterations=4,
        meta_batch_size=2,
        test_episodes=6,
        validation_episodes=4,
    )
    (record,) = launch(plan(request, plugins), plugins, folders)
    assert record.status == "finished" and tuple(record.test.modes) == TEST_MODES[::-1]
    assert record.test.score_after_step[0] == pytest.approx(record.test.modes["running"].score.mean)


def test_a_method_without_a_network_of_the_harness_is_refused_with_a_way_out():
    foreign = SimpleNamespace(algorithm=object(), spec=SimpleNamespace(algorithm=SimpleNamespace(name="foreign")))
    with pytest.raises(ConfigError, match="'foreign' cannot be tested with running statistics: choose another --mode"):
        measure_running_statistics(foreign)

"""The features of a trained model: those that the model itself computes, with fixed statistics of batch norm."""

import pytest
import torch

from mamlbench.api import Job
from mamlbench.data.encoded_split import network_images
from mamlbench.errors import ConfigError
from mamlbench.nn.batch_norm import running_statistics
from mamlbench.runner.build import load_dataset, model_builder
from mamlbench.runner.checkpoints import load_model
from mamlbench.runner.execute import perform
from mamlbench.runner.frozen.trained_encoder import trained_encoder
from mamlbench.runner.plan import make_request, plan

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(plugins, folders):
    """The path of a model's record, and its data set."""
    request = make_request(
        algorithms=("fomaml",),
        dataset="toy",
        ways=3,
        iterations=2,
        meta_batch_size=2,
        test_episodes=2,
        validation_episodes=2,
        engine="loop",
        options={"backbone.width": 4},
    )
    (spec,) = plan(request, plugins)
    record = perform(Job(spec=spec, folders=folders), plugins=plugins)
    return folders.results / f"{record.name}.json", load_dataset(spec, plugins, folders)


def test_it_computes_the_features_of_the_trained_network(trained, plugins):
    path, dataset = trained
    train, test = dataset.splits["train"], dataset.splits["test"]
    encoder = trained_encoder(path, plugins, train, CPU)
    artifact = load_model(path)
    x = network_images(test, test.rows[:8], 0, encoder.shape, normalization=None, device=CPU)
    model = model_builder(artifact.spec, plugins, train.input_shape)(3)
    parameters = {
        name.removeprefix("meta/"): value for name, value in artifact.state.items() if name.startswith("meta/")
    }
    with running_statistics(encoder.network.statistics), torch.no_grad():
        expected = model.features(parameters, x)
        torch.testing.assert_close(encoder.network(x), expected)
        # every image for itself: what else is in a batch does not matter
        torch.testing.assert_close(encoder.network(x[:1]), expected[:1])
    assert encoder.shape == (1, 14, 14) and "conv4-strided of fomaml" in encoder.about


def test_a_model_without_features_is_refused(trained, plugins, monkeypatch):
    path, dataset = trained
    artifact = load_model(path)
    monkeypatch.setattr(
        "mamlbench.runner.frozen.trained_encoder.load_model",
        lambda path: type(artifact)(artifact.spec, 1, {"meta/head.weight": torch.zeros(1)}, "unknown", ""),
    )
    with pytest.raises(ConfigError, match="no features that could be used alone"):
        trained_encoder(path, plugins, dataset.splits["train"], CPU)

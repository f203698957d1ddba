"""Test episodes with wrong labels and corrupted images: what changes, what does not, and who is tested so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mamlbench.data.image_split import Normalization
from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins
from mamlbench.report import build_tables
from mamlbench.run_spec import RunRequest
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.disturbed_episodes import disturbed
from mamlbench.runner.draw_episodes import draw_episodes
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan
from mamlbench.runner.verify_record import RecordVerifier

TINY = {
    "dataset": "toy",
    "ways": 5,
    "shots": 2,
    "queries": 3,
    "test_episodes": 12,
    "validation_episodes": 6,
    "iterations": 2,
    "meta_batch_size": 2,
    "engine": "vmap",
}
BOTH = {"label_noise": 0.2, "corrupt": "noise:0.3"}
METHODS = [
    entry.name
    for entry in load_plugins().registry.entries("algorithm")
    if entry.origin == "mamlbench" and "classification" in entry.load().kinds
]


def one_spec(plugins, algorithm="protonet", **request):
    (spec,) = plan(
        RunRequest(algorithms=(algorithm,), **{"options": {"backbone.width": 4}, **TINY, **request}), plugins
    )
    return spec


@pytest.fixture(scope="module")
def experiment(plugins, folders):
    spec = one_spec(plugins)
    return build_experiment(spec, plugins, load_dataset(spec, plugins, folders))


@pytest.fixture(scope="module")
def run(plugins, folders):
    def run(algorithm="protonet", **request):
        (record,) = launch([one_spec(plugins, algorithm, **request)], plugins, folders, own_process=False)
        assert record.status == "finished" and not record.listener_errors, (record.reason, record.listener_errors)
        return record

    return run


def drawn(experiment, split="test", first=0, count=8, **changes):
    protocol = experiment.spec.protocol.model_copy(update=changes)
    return experiment.episodes(split, first, count, protocol)


def same(one, other):
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("keys", "classes", "images"))


@pytest.mark.parametrize("sampling", ["independent", "without-replacement"])
def test_wrong_labels_change_the_support_labels_and_nothing_else(experiment, sampling):
    clean = drawn(experiment, test_sampling=sampling, count=3)
    noisy = drawn(experiment, test_sampling=sampling, count=3, label_noise=0.2)
    assert same(clean, noisy)
    assert torch.equal(clean.support.x, noisy.support.x)
    assert torch.equal(clean.query.x, noisy.query.x) and torch.equal(clean.query.y, noisy.query.y)
    assert (clean.support.y != noisy.support.y).sum(1).tolist() == [2, 2, 2], "20 % of 5 x 2"


@pytest.mark.parametrize("corrupt", ["noise:0.3", "blur:1.5", "contrast:0.5"])
def test_corruption_changes_every_image_and_no_label(experiment, corrupt):
    clean, corrupted = drawn(experiment), drawn(experiment, corrupt=corrupt)
    assert same(clean, corrupted)
    for before, after in ((clean.support, corrupted.support), (clean.query, corrupted.query)):
        assert torch.equal(before.y, after.y)
        assert (before.x != after.x).flatten(2).any(-1).all()
        assert float(after.x.min()) >= 0 and float(after.x.max()) <= 1


def test_an_episode_is_the_same_in_any_batch_and_with_any_number_of_queries(experiment):
    together = drawn(experiment, **BOTH)
    alone = drawn(experiment, first=5, count=1, **BOTH)
    assert torch.equal(together.support.y[5:6], alone.support.y)
    assert torch.equal(together.support.x[5:6], alone.support.x) and torch.equal(together.query.x[5:6], alone.query.x)
    fewer = drawn(experiment, queries=1, **BOTH)
    assert torch.equal(fewer.support.x, together.support.x) and torch.equal(fewer.support.y, together.support.y)


def test_support_and_query_images_have_noise_of_their_own(experiment):
    gray = drawn(experiment)
    gray = gray._replace(
        support=gray.support._replace(x=torch.full_like(gray.support.x, 0.5)),
        query=gray.query._replace(x=torch.full_like(gray.query.x, 0.5)),
    )
    protocol = experiment.spec.protocol.model_copy(update={"corrupt": "noise:0.1"})
    noisy = disturbed(gray, protocol, experiment.sampler.splits["test"])
    images = torch.cat([noisy.support.x.flatten(0, 1), noisy.query.x.flatten(0, 1)]).flatten(1)
    assert len(images.unique(dim=0)) == len(images) == 8 * 5 * (2 + 3)


@pytest.mark.parametrize("split", ["train", "val"])
def test_training_and_validation_are_not_disturbed(experiment, split):
    clean, other = drawn(experiment, split), drawn(experiment, split, **BOTH)
    assert torch.equal(clean.support.x, other.support.x) and torch.equal(clean.support.y, other.support.y)


def test_normalized_images_are_corrupted_as_their_pixels_are(experiment):
    """The same corruption of the same pixels, whatever mean and deviation the data set subtracts."""
    split = experiment.sampler.splits["test"]
    normalization = Normalization((0.4,), (0.2,))
    protocol = experiment.spec.protocol.model_copy(update={"corrupt": "noise:0.3"})
    keys = np.arange(3, dtype=np.uint64)
    plain = disturbed(split.episodes(keys, 5, 2, 3), protocol, split)
    normalized = replace(split, normalization=normalization)
    other = disturbed(normalized.episodes(keys, 5, 2, 3), protocol, normalized)
    torch.testing.assert_close(normalization.inverse(other.support.x), plain.support.x, rtol=0, atol=1e-6)
    torch.testing.assert_close(normalization.inverse(other.query.x), plain.query.x, rtol=0, atol=1e-6)


def test_a_run_trains_the_same_model_and_its_test_can_be_repeated_from_a_clean_run(run, folders, plugins):
    clean, noisy = run(), run(**BOTH)
    assert [point.loss for point in clean.curve] == [point.loss for point in noisy.curve]
    assert [point.validation for point in clean.curve] == [point.validation for point in noisy.curve]
    model = folders.results / f"{clean.name}.json"
    again = evaluate_model(model, plugins, folders, protocol=BOTH)
    assert again.protocol == noisy.test.protocol
    for mode, result in noisy.test.modes.items():
        assert again.modes[mode].episode_scores == result.episode_scores
        assert again.modes[mode].untrained_episode_scores == result.untrained_episode_scores
        assert clean.test.modes[mode].episode_scores != result.episode_scores
    back = evaluate_model(
        folders.results / f"{noisy.name}.json", plugins, folders, protocol={"label_noise": 0, "corrupt": "none"}
    )
    assert back.modes["inductive"].episode_scores == clean.test.modes["inductive"].episode_scores


def test_a_record_verifies_and_stands_in_a_table_of_its_own(run, folders, plugins):
    clean, noisy = run(), run(**BOTH)
    verification = RecordVerifier(plugins, folders).verify(folders.results / f"{noisy.name}.json")
    assert verification.ok is True, verification.checks
    tables = build_tables([clean, noisy])
    assert "20 % of support labels wrong, images corrupted by noise:0.3" in tables[1].title
    assert "wrong" not in tables[0].title and "corrupted" not in tables[0].title
    assert any("label noise 0.0 and 0.2, corrupt none and noise:0.3" in note for note in tables[1].notes)


@pytest.mark.parametrize("algorithm", METHODS)
def test_every_method_bears_a_class_without_a_labeled_example(run, plugins, algorithm):
    """With one shot, a wrong label leaves its class without any."""
    steps = "test_steps" in plugins.registry.load("algorithm", algorithm).Options.model_fields
    options = {"backbone.width": 4} | ({"test_steps": 2} if steps else {})
    record = run(algorithm, shots=1, label_noise=0.4, options=options, test_episodes=4, iterations=1)
    assert record.test.protocol.label_noise == 0.4


def test_labels_of_values_cannot_be_wrong(plugins):
    with pytest.raises(ConfigError, match="Tasks of regression have no classes that labels could be confused with"):
        one_spec(plugins, "maml", dataset="sinusoid", ways=None, label_noise=0.2, options={})


def test_values_cannot_be_corrupted_as_images(plugins, folders):
    spec = one_spec(plugins, "maml", dataset="sinusoid", ways=None, corrupt="blur:1", options={})
    with pytest.raises(ConfigError, match="sinusoid, test split: --corrupt blur:1 is for images"):
        build_experiment(spec, plugins, load_dataset(spec, plugins, folders))


def test_a_wrong_share_is_refused(plugins, folders, run):
    model = folders.results / f"{run().name}.json"
    with pytest.raises(ConfigError, match=r"less than or equal to 1, not 1\.5"):
        evaluate_model(model, plugins, folders, protocol={"label_noise": 1.5})
    with pytest.raises(ConfigError, match="the strength of noise is a number above 0, up to 10, not 'noise:11'"):
        evaluate_model(model, plugins, folders, protocol={"corrupt": "noise:11"})


def test_drawing_leaves_what_the_sampler_returned_alone(experiment):
    shape = experiment.spec.protocol
    before = draw_episodes(experiment.sampler, "test", 0, 2, shape)
    draw_episodes(experiment.sampler, "test", 0, 2, shape.model_copy(update=BOTH))
    after = draw_episodes(experiment.sampler, "test", 0, 2, shape)
    assert torch.equal(before.support.x, after.support.x) and torch.equal(before.support.y, after.support.y)

"""Episodes of several sizes: each gives the numbers of a run in which all episodes have its size."""

import pytest
import torch

from mamlbench.errors import ConfigError
from mamlbench.nn.seeding import seeded
from mamlbench.plugin import load_plugins
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.plan import make_request, plan
from mamlbench.runner.scoring import batches, predict_group, predict_parts
from mamlbench.runner.sized_tasks import by_size, sizes_of

METHODS = [
    entry.name
    for entry in load_plugins().registry.entries("algorithm")
    if entry.origin.startswith("mamlbench") and "classification" in entry.load().kinds
]
BY_SIZE = {"linear-probe", "logistic", "matching-networks", "metaoptnet", "r2d2", "reptile", "unicorn-maml"}
"""Methods that compute tasks of each size apart, with those of learn2learn; the others fill them up."""
QUICK = {"maml", "fomaml", "anil", "protonet", "reptile"}
"""Methods of the default tests; the others are slow."""
EVERY = [method if method in QUICK else pytest.param(method, marks=pytest.mark.slow) for method in METHODS]

MODES = ("transductive", "inductive")


@pytest.fixture(scope="module")
def build(plugins, folders):
    """Build the parts of a small run in float64: ``build("maml", ways="2..4")``."""
    loaded = {}

    def build(algorithm, **settings):
        options = {"backbone.width": 4, **settings.pop("options", {})}
        defaults = {"queries": 2, "meta_batch_size": 3, "test_episodes": 12, "precision": "float64", "engine": "vmap"}
        request = make_request(
            algorithms=(algorithm,),
            dataset="toy",
            backbone="conv4-strided",
            options=options,
            **{**defaults, **settings},
        )
        (spec,) = plan(request, plugins)
        dataset = loaded.setdefault("toy", load_dataset(spec, plugins, folders))
        return build_experiment(spec, plugins, dataset)

    return build


def same_values(large, small):
    """Give the small experiment the values of the large one, whose heads have more rows."""
    values = large.algorithm.state()
    cut = {
        name: values[name][tuple(map(slice, value.shape))].clone() if value.ndim else values[name].clone()
        for name, value in small.algorithm.state().items()
    }
    small.algorithm.load_state(cut)


@pytest.mark.parametrize("method", EVERY)
def test_an_episode_is_computed_as_in_a_run_of_its_size(build, method):
    large = build(method, ways="2..4", shots="1..3")
    shape, numbers = by_size(large.sampler, "test", large.spec.protocol, range(12))[0]
    train = {} if large.algorithm.trains_on == "examples" else {"train_ways": shape.ways, "train_shots": shape.shots}
    small = build(method, ways=shape.ways, shots=shape.shots, **train)
    same_values(large, small)
    batch = large.episodes_of("test", numbers, shape)
    assert torch.equal(batch.support.x, small.episodes_of("test", numbers, small.spec.protocol).support.x)
    with large.sized([shape]):
        ((outputs, steps),) = predict_parts(large.algorithm, [batch], MODES, None, every_step=True)
    ((expected, expected_steps),) = predict_parts(small.algorithm, [batch], MODES, None, every_step=True)
    for mode in MODES:
        assert outputs[mode].shape[-1] == shape.ways
        torch.testing.assert_close(outputs[mode], expected[mode], rtol=1e-10, atol=1e-10)
    for step, values in expected_steps.items():
        torch.testing.assert_close(steps[step], values, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", EVERY)
def test_a_meta_batch_is_learned_from_as_in_runs_of_its_sizes(build, method):
    if load_plugins().registry.load("algorithm", method).trains_on == "examples":
        pytest.skip("trains on labeled examples")
    large = build(method, ways="2..4", shots="1..3")
    assert large.mixes_sizes
    numbers, training = range(3), large.spec.training
    by_sizes = by_size(large.sampler, "train", training, numbers)
    assert len(by_sizes) > 1
    update = updated(large, large.training_batch(0))
    assert update.count == 3
    for name, value in update.sums.items():
        whole = torch.zeros_like(value)
        for shape, chosen in by_sizes:
            small = build(method, ways=shape.ways, train_shots=shape.shots)
            same_values(large, small)
            part = updated(small, small.episodes_of("train", chosen, small.spec.training)).sums[name]
            whole[tuple(map(slice, part.shape))] += part
        torch.testing.assert_close(value, whole, rtol=1e-8, atol=1e-9)


def updated(experiment, batch):
    with seeded("update", 0):
        return experiment.compute_update(0, batch)


@pytest.mark.parametrize("method", EVERY)
def test_filled_up_episodes_give_the_numbers_of_episodes_alone(build, method):
    padded = build(method, ways="2..4", shots="1..3")
    fills_up = method not in BY_SIZE and not method.startswith("l2l-")
    assert (not padded.padding_problem) == fills_up
    groups = batches(padded, "test", padded.spec.protocol, range(12))
    assert (max(map(len, groups)) > 1) == fills_up
    for group in groups:
        episodes = [padded.episodes_of("test", *part) for part in group]
        together = predict_group(padded, padded.algorithm, group, episodes, None, every_step=True)
        for part, batch, both in zip(group, episodes, together, strict=True):
            (alone,) = predict_group(padded, padded.algorithm, [part], [batch], None, every_step=True)
            for values, expected in zip(both, alone, strict=True):
                for name, value in expected.items():
                    torch.testing.assert_close(values[name], value, rtol=1e-10, atol=1e-10)


def test_wrong_labels_and_unequal_classes_are_filled_up_as_well(build):
    experiment = build("maml", ways="2..4", shots="2..3", label_noise=0.6, imbalance=0.5)
    (group, *_) = batches(experiment, "test", experiment.spec.protocol, range(12))
    episodes = [experiment.episodes_of("test", *part) for part in group]
    together = predict_group(experiment, experiment.algorithm, group, episodes, None, every_step=False)
    assert len(group) > 1
    for part, batch, (outputs, _) in zip(group, episodes, together, strict=True):
        ((alone, _),) = predict_group(experiment, experiment.algorithm, [part], [batch], None, every_step=False)
        torch.testing.assert_close(outputs["transductive"], alone["transductive"], rtol=1e-10, atol=1e-10)


def test_sizes_depend_on_seed_and_number_alone(build):
    experiment = build("protonet", ways="2..4", shots="1..3")
    protocol = experiment.spec.protocol
    ways, shots = sizes_of(experiment.sampler, "test", protocol, range(12))
    assert sizes_of(experiment.sampler, "test", protocol, [7, 3]) == ([ways[7], ways[3]], [shots[7], shots[3]])
    assert {*ways} == {2, 3, 4} and {*shots} == {1, 2, 3}
    groups = by_size(experiment.sampler, "test", protocol, range(12))
    assert sorted(number for _, numbers in groups for number in numbers) == list(range(12))
    other = build("maml", ways="2..4", shots="1..3")
    assert sizes_of(other.sampler, "test", other.spec.protocol, range(12)) == (ways, shots)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"ways": "4..2"}, "range 4..2 is empty"),
        ({"ways": "two..4"}, "neither a number nor a range"),
        ({"ways": "1..4"}, "greater than or equal to 2"),
        ({"shots": "1..3", "test_sampling": "without-replacement"}, "leave out --test-sampling"),
        ({"shots": "1..3", "keep_predictions": True}, "leave out --keep-predictions"),
        ({"imbalance": 0.5}, "--imbalance needs --shots 2 or more"),
        ({"dataset": "sinusoid", "shots": "2..5"}, "Tasks of regression have one size"),
    ],
)
def test_what_has_no_meaning_is_refused(plugins, settings, problem):
    values = {"algorithms": ("maml",), "dataset": "toy", **settings}
    with pytest.raises(ConfigError, match=problem):
        plan(make_request(**values), plugins)


def test_sizes_that_were_not_checked_are_computed_apart(build):
    experiment = build("protonet", ways="2..4", shots="1..3")
    assert not experiment.under_protocol(experiment.spec.protocol.model_copy(update={"queries": 3})).padding_problem
    other = experiment.under_protocol(experiment.spec.protocol.model_copy(update={"least_ways": 3}))
    groups = batches(other, "test", other.spec.protocol, range(12))
    assert "were not checked" in other.padding_problem and max(map(len, groups)) == 1

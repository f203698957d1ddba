"""The training protocol: what a user, a preset and the test say, and what a method refuses."""

from pathlib import Path

import pytest

import mamlbench
from mamlbench.api import Preset
from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import RunRequest
from mamlbench.runner.plan import plan
from mamlbench_plugins.algorithms.fomaml import FOMAML
from mamlbench_plugins.algorithms.protonet import ProtoNet


class Wide(ProtoNet):
    """Trains with more classes by its preset."""

    presets = (Preset(name="quick", source="made up", iterations=100, meta_batch_size=2, train_ways=8, validations=5),)


class WronglyWide(FOMAML):
    """Its preset asks for what it cannot do."""

    presets = Wide.presets


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("wide", Wide)
    register("wrongly-wide", WronglyWide)


@pytest.fixture(scope="module")
def plugins():
    return load_plugins([Path(__file__)])


def training(plugins, algorithm="maml", **request):
    request = {"dataset": "glyphs", "device": "cpu", **request}
    return plan(RunRequest(algorithms=(algorithm,), **request), plugins)[0].training


def shape(plugins, algorithm="maml", **request):
    planned = training(plugins, algorithm, **request)
    return planned.ways, planned.shots, planned.queries


def problem(plugins, algorithm="maml", **request):
    with pytest.raises(ConfigError) as caught:
        training(plugins, algorithm, **request)
    (only,) = caught.value.problems
    return only


def test_training_episodes_are_like_test_episodes_unless_something_says_otherwise(plugins):
    assert shape(plugins, ways=4, shots=2, queries=3) == (4, 2, 3)
    assert shape(plugins, ways=4, shots=2, queries=3, train_shots=5, train_queries=7) == (4, 5, 7)
    assert shape(plugins, "reptile") == (5, 10, 0), "the preset's"
    assert shape(plugins, "reptile", train_shots=3) == (5, 3, 0)


def test_a_method_without_an_output_per_class_trains_with_the_ways_asked_for(plugins):
    assert shape(plugins, "protonet", train_ways=20) == (20, 1, 1)
    assert shape(plugins, "wide", ways=3) == (8, 1, 1)
    assert shape(plugins, "wide", train_ways=4) == (4, 1, 1)


def test_the_published_settings_of_prototypical_networks(plugins):
    assert shape(plugins, "protonet", dataset="omniglot", preset="paper", shots=5) == (60, 5, 5)
    assert shape(plugins, "protonet", dataset="miniimagenet", preset="paper", shots=1) == (30, 1, 15)
    assert shape(plugins, "protonet", dataset="miniimagenet", preset="paper", shots=5) == (20, 5, 15)


def test_validations_come_when_asked_for_or_as_often_as_the_preset_says(plugins):
    assert training(plugins, "wide").validate_every == 20
    assert training(plugins, "wide", iterations=7).validate_every == 2
    assert training(plugins, "wide", iterations=0).validate_every == 1
    assert training(plugins, "wide", validate_every=33).validate_every == 33


@pytest.mark.parametrize(
    ("algorithm", "request_", "key", "text"),
    [
        ("maml", {"train_ways": 20}, "train_ways", "--train-ways must be 5 or left out, or --ways be 20, too."),
        ("reptile", {"train_ways": 20, "ways": 3}, "train_ways", "--train-ways must be 3 or left out"),
        ("wrongly-wide", {}, "train_ways", "--train-ways must be 5 or left out, or --ways be 8, too."),
        ("protonet", {"train_ways": 1}, "train_ways", "--train-ways must be 2 or more."),
        (
            "pretrain",
            {"train_ways": 5},
            "train_ways",
            "trains on labeled examples, not on episodes: leave out",
        ),
        ("pretrain", {"train_shots": 5}, "train_shots", "leave out --train-shots"),
        ("baseline++", {"train_queries": 0}, "train_queries", "leave out --train-queries"),
        ("reptile", {"train_queries": 5}, "train_queries", "does not look at the queries of training episodes"),
        ("maml", {"train_queries": 0}, "train_queries", "--train-queries must be 1 or more"),
        ("maml", {"train_ways": 2, "dataset": "sinusoid"}, "train_ways", "have no classes: leave out --train-ways"),
    ],
)
def test_what_a_method_would_ignore_or_cannot_do_is_refused_in_one_sentence(plugins, algorithm, request_, key, text):
    sentence = problem(plugins, algorithm, **request_)
    assert text in sentence and sentence.count(".") == 1
    assert sentence.key == key


def test_what_changes_nothing_is_accepted(plugins):
    assert shape(plugins, "maml", train_ways=5) == (5, 1, 1)
    assert shape(plugins, "reptile", train_queries=0) == (5, 10, 0)
    assert shape(plugins, "maml", ways=20, train_ways=20) == (20, 1, 1)


def test_everything_at_once(plugins):
    with pytest.raises(ConfigError) as caught:
        training(plugins, "pretrain", train_ways=2, train_shots=2, options={"finetune_rl": 1})
    assert len(caught.value.problems) == 3


def test_a_run_with_training_ways_of_its_own_learns_and_is_tested_with_others_again(tmp_path, toy_plugin):
    record = mamlbench.run(
        "protonet",
        "toy",
        ways=3,
        train_ways=7,
        train_shots=2,
        train_queries=2,
        validate_every=4,
        iterations=8,
        meta_batch_size=2,
        test_episodes=20,
        validation_episodes=10,
        options={"backbone.width": 8},
        results_dir=tmp_path,
        plugins=[toy_plugin],
    )
    assert record.status == "finished", record.reason
    assert record.measurement.examples_seen == 8 * 2 * 7 * (2 + 2)
    assert [point.iteration for point in record.curve if point.validation] == [4, 8]
    model = tmp_path / f"{record.name}.json"
    again = mamlbench.evaluate(model, ways=5, test_episodes=10, plugins=[toy_plugin])
    assert again.protocol.ways == 5 and 0.1 < again.modes["transductive"].score.mean < 1

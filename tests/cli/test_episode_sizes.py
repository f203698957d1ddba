"""Ranges of ways and shots through the command line: run, table, evaluation, verification."""

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_episodes

SMALL = ["--iterations", "2", "--meta-batch-size", "2", "--test-episodes", "30", "--validation-episodes", "4", "-q"]
RANGES = ["--ways", "2..4", "--shots", "1..3", "--queries", "2"]


@pytest.fixture
def run(project, toy_plugin):
    start = ["run", "--plugin", str(toy_plugin), "--dataset", "toy", "-o", "backbone.width=4", "--engine", "vmap"]
    return lambda *more, **expect: project.run(*start, *SMALL, *more, **expect)


def test_a_table_names_the_ranges_and_a_record_has_the_size_of_every_episode(run, project, toy_plugin):
    shown = run("--algo", "maml", *RANGES).out
    (record,) = project.records()
    assert "toy, 2..4-way 1..3-shot: accuracy" in shown and record.name.startswith("toy-2..4w1..3s-maml")
    test = record.test
    assert len(test.episode_ways) == len(test.episode_shots) == 30
    assert {*test.episode_ways} == {2, 3, 4} and {*test.episode_shots} == {1, 2, 3}
    assert test.classes is None and test.image_use.average >= 1
    arrays = read_episodes(record, project.path / "results")
    assert arrays["ways"].tolist() == test.episode_ways and arrays["queries"].shape == (30, 4)
    assert arrays["queries"].sum(1).tolist() == [2 * ways for ways in test.episode_ways]
    path, plugin = f"results/{record.name}.json", ["--plugin", str(toy_plugin)]
    assert "all equal" in project.run("verify", path, *plugin).out
    again = project.run("evaluate", path, *plugin, "--json").json()
    assert again["episode_ways"] == test.episode_ways
    scores = again["metrics"]["accuracy"]["modes"]["inductive"]["episode_scores"]
    assert scores == list(test.modes["inductive"].episode_scores)
    fixed = project.run("evaluate", path, *plugin, "--shots", "2", "--json").json()
    assert {*fixed["episode_shots"]} == {2} and {*fixed["episode_ways"]} == {2, 3, 4}


def test_unequal_and_wrong_labels_are_in_the_title(run, project):
    shown = run("--algo", "protonet", "--ways", "3", "--shots", "4", "--imbalance", "0.5", "--label-noise", "0.2").out
    text = " ".join(shown.split())
    assert "classes with 1.50 to 0.500 times the shots, 20 % of support labels wrong" in text
    (record,) = project.records()
    assert record.spec.protocol.imbalance == 0.5 and record.test.image_use is None


def test_training_can_have_ranges_of_its_own(run, project):
    run("--algo", "protonet", "--ways", "3", "--train-ways", "2..6", "--train-shots", "1..2")
    (record,) = project.records()
    training = record.spec.training
    assert (training.least_ways, training.ways, training.least_shots, training.shots) == (2, 6, 1, 2)
    assert not record.spec.protocol.sizes_vary and record.test.classes is not None


@pytest.mark.parametrize("value", ["6..2", "two", "0..3", "2..", "..3"])
def test_what_is_no_range_is_refused(run, value):
    assert "--ways" in run("--algo", "maml", "--ways", value, expect=ExitCode.USAGE).err

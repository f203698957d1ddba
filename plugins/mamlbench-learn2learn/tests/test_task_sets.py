"""learn2learn's task sets as a sampler."""

import random

import numpy as np
import pytest
import torch

from mamlbench.api import ImageSplit
from mamlbench.cli.main import main
from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins
from mamlbench.record import read_record
from mamlbench.testing import CHECKS, SUBJECTS

pytestmark = pytest.mark.usefixtures("needs_learn2learn")
CLASSES, EACH = 6, 4


@pytest.fixture
def make_sampler():
    """``make_sampler(rotations="none")``: a sampler over images 2x2 whose first pixel is their row."""

    def make(rotations="none", ways=3):
        images = torch.arange(CLASSES * EACH, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 2, 2)
        images[..., 1, 1] = 200  # what a turn moves
        split = ImageSplit(images, np.arange(CLASSES + 1) * EACH, tuple("abcdef"), rotations, scale=1.0)
        plugin = load_plugins().registry.load("sampler", "l2l-tasks")
        return plugin({"train": split}, ways, episode_seed=0, training_seed=0, options=plugin.Options())

    return make


@pytest.mark.parametrize("check", CHECKS["sampler"], ids=lambda check: check.name)
def test_it_keeps_the_contract(check):
    plugin = load_plugins().registry.load("sampler", "l2l-tasks")
    result = check(SUBJECTS["sampler"](plugin))
    assert result.status == "passed", result


def test_an_episode_has_distinct_images_under_the_label_of_their_class(make_sampler):
    batch = make_sampler().episodes("train", 0, 20, shots=1, queries=2)
    assert batch.support.x.shape == (20, 3, 1, 2, 2) and batch.query.x.shape == (20, 6, 1, 2, 2)
    classes_met = set()
    for task in range(20):
        x = torch.cat([part.x[task, :, 0, 0, 0] for part in (batch.support, batch.query)])
        y = torch.cat([part.y[task] for part in (batch.support, batch.query)])
        assert len(x.unique()) == 9
        pairs = {(int(row) // EACH, int(label)) for row, label in zip(x, y, strict=True)}
        assert len(pairs) == 3 and {label for _, label in pairs} == {0, 1, 2}
        classes_met |= {number for number, _ in pairs}
    assert classes_met == set(range(CLASSES))


def test_turned_classes_are_classes_of_their_own(make_sampler):
    batch = make_sampler("classes", ways=24).episodes("train", 0, 1, shots=2, queries=0)
    met = set()
    for x, y in zip(batch.support.x[0], batch.support.y[0], strict=True):
        (where,) = (x[0] == 200).nonzero().tolist()
        met.add((int(x[0][x[0] != 200][0]) // EACH, *where, int(y)))
    assert len(met) == 24, "each class in each of four turns, under one label"


def test_turns_of_an_episode_are_learn2learns_own(make_sampler):
    """In 0.2.0 all images of a task are turned alike (its lambda sees the last class's turn): so it is measured."""
    x = make_sampler("episode").episodes("train", 0, 20, shots=2, queries=0).support.x
    corners = (x == 200).flatten(2).float().argmax(2)  # [20, 6]
    assert len(corners.unique()) == 4
    assert all(len(task.unique()) == 1 for task in corners)


def test_pythons_generator_is_left_as_it_was(make_sampler):
    random.seed(5)
    expected = random.random()
    random.seed(5)
    make_sampler().episodes("train", 0, 2, shots=1, queries=1)
    assert random.random() == expected


def test_a_split_that_is_too_small_is_refused(make_sampler):
    with pytest.raises(ConfigError, match="5 examples per class were requested"):
        make_sampler().episodes("train", 0, 1, shots=2, queries=3)


def test_a_whole_run_with_learn2learns_method_and_tasks(tmp_path):
    tiny = ["--dataset", "glyphs", "--iterations", "3", "--meta-batch-size", "2", "--test-episodes", "20"]
    small = ["--validation-episodes", "10", "-o", "backbone.width=4", "-o", "test_steps=1", "-q"]
    place = ["--sampler", "l2l-tasks", "--results-dir", str(tmp_path)]
    assert main(["run", "--algo", "l2l-maml", *place, *tiny, *small]) == 0
    (path,) = tmp_path.glob("*.json")
    record = read_record(path)
    assert (record.status, record.spec.sampler.name) == ("finished", "l2l-tasks")
    assert record.measurement.segments["data"].wall > 0


def test_regression_has_no_images_to_draw_from(tmp_path, capsys):
    assert (
        main(
            [
                "run",
                "--algo",
                "maml",
                "--dataset",
                "sinusoid",
                "--sampler",
                "l2l-tasks",
                "-q",
                "--results-dir",
                str(tmp_path),
            ]
        )
        == 4
    )
    assert "l2l-tasks draws from images sorted by class" in " ".join(capsys.readouterr().err.split())

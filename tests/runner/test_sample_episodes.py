"""Sample episodes: the artifact that a page shows."""

import json

import numpy as np
import pytest
from PIL import Image

from mamlbench.plugin import load_plugins
from mamlbench.record.sample_sheet import SAMPLES, TEXT_KEY, Samples
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan

TINY = {"ways": 3, "test_episodes": 4, "validation_episodes": 4, "meta_batch_size": 2, "iterations": 2}


@pytest.fixture
def run(tmp_path, toy_plugin):
    def run(algorithm="fomaml", options=None, **asked):
        plugins = load_plugins([toy_plugin])
        request = RunRequest(algorithms=(algorithm,), options=options or {"backbone.width": 8}, **TINY | asked)
        (record,) = launch(plan(request, plugins), plugins, Folders(results=tmp_path, cache=tmp_path / "cache"))
        assert record.status == "finished" and record.listener_errors == []
        return record, tmp_path / record.name / SAMPLES

    return run


def read(path):
    with Image.open(path) as image:
        return np.asarray(image), Samples.model_validate_json(image.text[TEXT_KEY])


def test_the_answers_are_those_that_the_test_scored(run):
    record, path = run(dataset="toy", queries=2)
    _, samples = read(path)
    result = record.test.modes[samples.mode]
    for episode in samples.episodes:
        right = np.mean(np.array(episode.after) == np.array(episode.query))
        assert right == pytest.approx(result.episode_scores[episode.number], abs=1e-6)
        assert len(episode.before) == len(episode.query) == 6 and sorted(episode.support) == [0, 1, 2]


def test_the_images_are_the_episodes(run, toy_plugin, tmp_path):
    _, path = run(dataset="toy", shots=3, queries=4)
    pixels, samples = read(path)
    assert [len(episode.support) for episode in samples.episodes] == [6, 6]  # two of each class are kept
    assert pixels.shape == (2 * 14, (6 + 6) * 14) and pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    tiles = pixels.reshape(2, 14, 12, 14).transpose(0, 2, 1, 3).reshape(24, -1)
    assert len(np.unique(tiles, axis=0)) == 24


def test_every_algorithm_keeps_the_same_images(run):
    (_, first), (_, second) = run("fomaml", dataset="toy"), run("reptile", dataset="toy")
    assert np.array_equal(read(first)[0], read(second)[0])


def test_a_regression_has_no_images(run):
    _, path = run(dataset="sinusoid", ways=1, options={"backbone.hidden": [8]})
    assert not path.exists()


def test_sample_episodes_that_cannot_be_made_cost_the_run_nothing(tmp_path, toy_plugin, monkeypatch):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("mamlbench.runner.train.save_samples", broken)
    plugins = load_plugins([toy_plugin])
    request = RunRequest(algorithms=("fomaml",), dataset="toy", options={"backbone.width": 8}, **TINY)
    (record,) = launch(plan(request, plugins), plugins, Folders(results=tmp_path, cache=tmp_path / "cache"))
    assert record.status == "finished" and record.listener_errors == ["sample episodes: OSError: disk full"]
    assert json.loads((tmp_path / f"{record.name}.json").read_text())["listener_errors"] == record.listener_errors

"""Scores in several metrics, and what is kept of every test episode."""

import numpy as np
import pytest
import torch

from mamlbench.api import hookimpl
from mamlbench.plugin import load_plugins
from mamlbench.record import read_episodes
from mamlbench.run_spec import RunRequest
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan
from mamlbench.runner.scoring import count_constant

NAMES = ("macro F1", "accuracy", "worst-class accuracy", "negative log-likelihood", "expected calibration error")
TINY = {
    "ways": 3,
    "queries": 4,
    "test_episodes": 30,
    "validation_episodes": 10,
    "iterations": 12,
    "meta_batch_size": 4,
    "engine": "vmap",
}


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def mamlbench_evaluated(self, split, metrics, units):
        self.heard.append((split, dict(metrics), dict(units)))


@pytest.fixture(scope="module")
def run(toy_plugin, folders):
    def run(listener=None, dataset="toy", **request):
        plugins = load_plugins([toy_plugin])
        if listener is not None:
            plugins.manager.register(listener, name="listener")
        request = {**TINY, "options": {} if dataset == "sinusoid" else {"backbone.width": 8}, **request}
        (record,) = launch(
            plan(RunRequest(algorithms=("fomaml",), dataset=dataset, **request), plugins), plugins, folders
        )
        return record

    return run


@pytest.fixture(scope="module")
def recorded(run):
    listener = Listener()
    return run(listener, metrics=NAMES, keep_predictions=True), listener.heard


def test_the_first_metric_selects_and_all_are_reported(recorded):
    record, heard = recorded
    assert record.test.metric == "macro F1" and tuple(record.test.metrics) == NAMES
    scores = {point.iteration: point.validation for point in record.curve if point.validation}
    assert all(tuple(validated) == NAMES for validated in scores.values())
    selected = scores[record.selected_iteration]["macro F1"]
    assert selected == max(validated["macro F1"] for validated in scores.values())
    assert [tuple(metrics) for _, metrics, _ in heard] == [NAMES] * len(heard)
    assert heard[-1][0] == "test" and heard[-1][2]["negative log-likelihood"] == "nats"
    assert record.test.metrics["macro F1"].modes["transductive"].score.mean == heard[-1][1]["macro F1"]


def test_gain_is_positive_if_training_helped_whatever_the_direction(recorded):
    likelihood = recorded[0].test.metrics["negative log-likelihood"].modes["transductive"]
    assert likelihood.gain.mean == pytest.approx(likelihood.untrained.mean - likelihood.score.mean, abs=1e-6)


def test_what_is_kept_of_every_episode_gives_its_scores(recorded, folders, plugins):
    record, _ = recorded
    arrays = read_episodes(record, folders.results)
    assert arrays["classes"].shape == arrays["queries"].shape == (30, 3) and (arrays["queries"] == 4).all()
    for when, field in (("trained", "episode_scores"), ("untrained", "untrained_episode_scores")):
        for mode in ("transductive", "inductive"):
            right, predicted = arrays[f"{when}/{mode}/right"], arrays[f"{when}/{mode}/predicted"]
            scores = {name: getattr(record.test.metrics[name].modes[mode], field) for name in NAMES}
            np.testing.assert_allclose(right.sum(1) / 12, scores["accuracy"], atol=1e-6)
            np.testing.assert_allclose((right / 4).min(1), scores["worst-class accuracy"], atol=1e-6)
            np.testing.assert_allclose((2 * right / (4.0 + predicted)).mean(1), scores["macro F1"], atol=1e-6)
            outputs, targets = arrays[f"{when}/{mode}/outputs"], arrays["targets"]
            assert outputs.shape == (30, 12, 3) and outputs.dtype == np.float32
            for name in NAMES:
                metric = plugins.registry.load("metric", name)()
                computed = metric.compute(torch.from_numpy(outputs), torch.from_numpy(targets).long())
                np.testing.assert_allclose(computed.numpy(), scores[name], atol=1e-6)


def test_classes_say_of_which_class_of_the_split_each_label_is(recorded, folders, plugins):
    record, _ = recorded
    dataset = load_dataset(record.spec, plugins, folders)
    experiment = build_experiment(record.spec, plugins, dataset, training=False)
    batch = experiment.sampler.episodes("test", 0, 30, shots=1, queries=4)
    arrays = read_episodes(record, folders.results)
    np.testing.assert_array_equal(arrays["classes"], batch.classes.numpy())
    split = dataset.splits["test"]
    for episode, label in ((0, 0), (7, 2), (29, 1)):
        index = arrays["classes"][episode, label]
        images = split.images[split.offsets[index] : split.offsets[index + 1]].float() / 255
        shown = batch.support.x[episode, label]
        assert any(torch.allclose(shown, image) for image in images)


def test_more_metrics_change_neither_training_nor_scores(run, recorded):
    alone, more = run(metrics=("macro F1",)), recorded[0]
    assert alone.test.metrics["macro F1"] == more.test.metrics["macro F1"]
    assert alone.selected_iteration == more.selected_iteration
    assert alone.spec_hash != more.spec_hash and alone.episodes.sha256 != more.episodes.sha256


def test_a_model_is_tested_again_by_other_metrics(recorded, folders, plugins):
    record, _ = recorded
    path = folders.results / f"{record.name}.json"
    evaluation = evaluate_model(path, plugins, folders, protocol={"metrics": ("worst_class_accuracy",)})
    assert list(evaluation.metrics) == ["worst-class accuracy"] == list(evaluation.protocol.metrics)
    assert evaluation.modes == record.test.metrics["worst-class accuracy"].modes


def test_regression_reports_errors_and_keeps_predictions(run, folders):
    settings = {"ways": None, "queries": 5}
    record = run(dataset="sinusoid", metrics=("mean absolute error", "mean squared error"), **settings)
    assert record.test.metric == "mean absolute error" and not record.test.higher_is_better
    assert record.episodes is None, "there are no classes"
    scores = [point.validation["mean absolute error"] for point in record.curve if point.validation]
    assert min(scores) == next(
        point.validation["mean absolute error"]
        for point in record.curve
        if point.validation and point.iteration == record.selected_iteration
    )
    arrays = read_episodes(run(dataset="sinusoid", keep_predictions=True, **settings), folders.results)
    assert set(arrays) == {"targets"} | {
        f"{when}/{mode}/outputs" for when in ("trained", "untrained") for mode in ("transductive", "inductive")
    }
    assert arrays["targets"].shape == arrays["trained/inductive/outputs"].shape == (30, 5, 1)


@pytest.mark.parametrize(
    ("outputs", "y", "count"),
    [
        ([[[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]], [[0, 1], [0, 1]], 1),
        ([[[3.0], [3.0]], [[3.0], [3.1]]], [[[0.0], [0.0]], [[0.0], [0.0]]], 1),
        ([[[0.0], [0.0]]], [[[0.0], [1.0]]], 1),
        ([[[3.0]], [[3.0]]], [[[0.0]], [[0.0]]], 0),
    ],
    ids=["classes", "values", "zeros", "one query"],
)
def test_constant_predictions_are_counted(outputs, y, count):
    assert count_constant(torch.tensor(outputs), torch.tensor(y)) == count

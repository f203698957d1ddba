"""An engine is chosen on the run's own work, and the record says how."""

import itertools
from functools import partial

import pytest
import torch

from mamlbench.engine import choose_engine
from mamlbench.engine.loop import LoopEngine
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.build import algorithm_maker, build_experiment, load_dataset
from mamlbench.runner.engine_workload import TrainingWork
from mamlbench.runner.plan import plan

TINY = {"dataset": "toy", "ways": 3, "options": {"backbone.width": "4"}, "meta_batch_size": 4, "test_episodes": 20}


@pytest.fixture
def experiment(toy_plugin, tmp_path):
    plugins = load_plugins([toy_plugin])

    def make(algorithm, **settings):
        training = settings.pop("training", True)
        (spec,) = plan(RunRequest(algorithms=(algorithm,), **{**TINY, **settings}), plugins)
        dataset = load_dataset(spec, plugins, Folders(results=tmp_path, cache=tmp_path, data=()))
        return build_experiment(spec, plugins, dataset, tmp_path, training=training)

    return make


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "reptile", "pretrain"])
def test_every_algorithm_is_checked_in_both_precisions(experiment, algorithm):
    choice = experiment(algorithm, iterations=5).choice
    assert choice.engine.name == "vmap"
    assert "checked against the loop in float64 and float32" in choice.reason


def test_a_long_run_is_timed_and_the_choice_remembered(experiment, tmp_path, monkeypatch):
    ticks = itertools.count()  # every batch takes a millisecond: too little for 5000 of them to be worth compiling
    choose = partial(choose_engine, clock=lambda: next(ticks) / 1000)
    monkeypatch.setattr("mamlbench.runner.build.choose_engine", choose)
    first = experiment("maml", iterations=5000).choice
    assert "fastest of" in first.reason
    assert sum("milliseconds" in trial.facts() for trial in first.trials) >= 3
    assert len(list((tmp_path / "engines").iterdir())) == 1
    second = experiment("maml", iterations=5000).choice
    assert second.engine.name == first.engine.name
    assert "remembered" in second.reason


def test_an_evaluation_is_not_timed(experiment):
    choice = experiment("maml", iterations=5000, training=False).choice
    assert all(not trial.seconds for trial in choice.trials)


def test_what_cannot_be_vectorized_runs_in_the_loop(experiment):
    choice = experiment("unvectorizable", iterations=5).choice
    assert choice.engine.name == "loop"
    assert "vmap" in choice.reason


def test_the_float64_check_leaves_the_runs_own_network_in_float32(experiment):
    assert all(value.dtype.itemsize == 4 for value in experiment("maml", iterations=5).algorithm.meta.values())


def test_on_a_cpu_large_tasks_are_not_computed_all_at_once(experiment, monkeypatch):
    from mamlbench.engine import autotune

    assert experiment("maml", iterations=5).choice.engine.name == "vmap"
    monkeypatch.setattr(autotune, "MAX_EXAMPLE_BYTES", 2 * 3 * 2 * 14 * 14 * 4)
    choice = experiment("fomaml", iterations=5, queries=1).choice
    assert choice.engine.name == "vmap[2]"
    assert "too much memory" in next(trial.dropped for trial in choice.trials if trial.name == "vmap")


def test_a_nudge_moves_the_examples_by_one_rounding_and_always_in_the_same_way(experiment, toy_plugin):
    made = experiment("maml", iterations=5)
    make = algorithm_maker(made.spec, load_plugins([toy_plugin]), made.dataset, made.sampler.splits)
    work = TrainingWork(made.spec, type(made.algorithm), make, made.sampler, training=True)
    exact, nudged, again, other = (
        work.outcome(LoopEngine(), precision="float64", nudge=nudge) for nudge in (0, 1, 1, 2)
    )
    assert torch.equal(nudged, again) and not torch.equal(nudged, other)
    assert 0 < (nudged - exact).norm() / exact.norm() < 1e-13

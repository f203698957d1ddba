"""Studies: the same number of trials for each method, on validation classes, whatever happens to the process."""

import json
import os
import sys

import pytest

from mamlbench.errors import ConfigError, MissingDependencyError, RunFailedError
from mamlbench.interrupts import request_interrupt
from mamlbench.plugin import load_plugins
from mamlbench.record.claims import ClaimWatcher
from mamlbench.run_spec import Folders
from mamlbench.runner.plan import make_request
from mamlbench.runner.tuning.run_study import TrialScale, plan_studies, run_studies

REQUEST = {
    "algorithms": ("fomaml", "one-rate"),
    "dataset": "guarded",
    "ways": 3,
    "queries": 2,
    "validation_episodes": 10,
    "meta_batch_size": 2,
    "iterations": 20,
    "engine": "vmap",
    "modes": ("transductive",),
    "options": {"backbone.width": 4},
}
TIMES = {"wall_seconds", "device_seconds", "started"}


class Listener:
    """Collects what is emitted, and may do something at an event."""

    def __init__(self, action=None):
        self.events, self.action = [], action or (lambda *_: None)

    def started(self, study, number, spec):
        self.events.append(("started", study.name, number))
        self.action("started", study, number)

    def emit(self, hook, *, spec, **arguments):
        self.events.append((hook, spec.algorithm.name, arguments.get("split")))
        self.action(hook, None, None)


@pytest.fixture(scope="module")
def plugin_files(toy_plugin):
    return [toy_plugin, toy_plugin.with_name("tuning_plugin.py")]


@pytest.fixture(scope="module")
def plugins(plugin_files):
    return load_plugins(plugin_files)


@pytest.fixture
def folders(tmp_path, tmp_path_factory):
    return Folders(results=tmp_path / "results", cache=tmp_path_factory.getbasetemp() / "tuning-cache")


@pytest.fixture
def plan(plugins, folders):
    def plan(scale=TrialScale(0.3, 2), *, sampler_seed=0, **changes):  # noqa: B008 (a named tuple)
        return plan_studies(make_request(**{**REQUEST, **changes}), plugins, folders, scale, sampler_seed=sampler_seed)

    return plan


@pytest.fixture
def tune(plugins, folders, plan):
    def tune(budget, listener=None, **changes):
        studies = plan(**changes)
        ended = list(run_studies(studies, budget, plugins, folders, listener or Listener()))
        return studies, [(study.name, trial.trial) for study, trial in ended]

    return tune


def content(trials):
    return [trial.model_dump(mode="json", exclude=TIMES) for trial in trials]


def test_each_method_gets_the_same_number_of_trials_and_no_test_class_is_drawn(tune):
    """Each draw of test classes would raise an error, in the trial or in the process."""
    listener = Listener()
    studies, ended = tune(3, listener)
    assert ended == [(name, number) for number in range(3) for name in ("fomaml", "one-rate")], "by turns"
    for study in studies:
        assert [trial.trial for trial in study.trials] == [0, 1, 2]
        assert {trial.status for trial in study.trials} == {"finished"}
        assert all(sorted(trial.validations) == [3, 6] for trial in study.trials), "0.3 of 20 iterations"
        assert all(trial.score == max(trial.validations.values()) for trial in study.trials)
        assert all(trial.validations[trial.iteration] == trial.score for trial in study.trials)
        assert study.trials[0].environment is not None and study.trials[1].environment is None
        assert study.trials[0].data_hash and study.trials[0].metric == "accuracy" and study.trials[0].unit == "%"
    splits = {split for hook, _, split in listener.events if hook == "mamlbench_evaluated"}
    assert splits == {"val"}


def test_a_sampler_that_draws_test_classes_ends_the_study(tune):
    with pytest.raises(RunFailedError, match="asked for test classes while options are tuned"):
        tune(1, sampler="peeks")


def test_trial_0_is_the_preset_and_the_others_are_drawn_from_the_space(tune):
    studies, _ = tune(4)
    fomaml, one_rate = studies
    assert fomaml.trials[0].options == {"outer_lr": 0.00932, "inner_lr": 0.331, "test_steps": 7}
    for trial in fomaml.trials[1:]:
        assert 3e-4 <= trial.options["outer_lr"] <= 0.03 and 0.03 <= trial.options["inner_lr"] <= 2.0
        assert trial.options["test_steps"] in range(1, 11)
    assert len({json.dumps(trial.options) for trial in fomaml.trials}) == 4
    assert all(1e-3 <= trial.options["outer_lr"] <= 0.1 for trial in one_rate.trials)
    same_seed = [study.options(7) for study in studies]
    assert [study.options(7) for study in studies] == same_seed


def test_methods_share_the_draws_of_an_option_that_they_share(plan):
    maml, anil = plan(algorithms=("maml", "anil"))
    assert all(maml.options(number)["outer_lr"] == anil.options(number)["outer_lr"] for number in range(1, 10))
    other = plan(algorithms=("maml",), sampler_seed=1)
    assert other[0].options(1) != maml.options(1) and other[0].path != maml.path


def test_an_option_that_the_user_sets_is_not_searched(plan):
    (study,) = plan(algorithms=("fomaml",), options={"backbone.width": 4, "inner_lr": 0.1})
    assert list(study.space) == ["outer_lr", "test_steps"]
    assert study.header.spec.algorithm.options["inner_lr"] == 0.1


def test_a_method_without_a_search_space_is_named_with_what_to_do(plan):
    with pytest.raises(ConfigError) as caught:
        plan(algorithms=("spaceless", "fomaml"))
    (problem,) = caught.value.problems
    assert "Algorithm 'spaceless' declares no search space" in problem
    assert "outer_lr: Annotated[float, LogUniform(0.001, 1.0)]" in problem
    with pytest.raises(ConfigError, match=r"'one-rate': every option that could be tuned \(outer_lr\) is set by -o"):
        plan(algorithms=("one-rate",), options={"outer_lr": 0.1})


def test_without_optuna_the_extra_is_named_before_anything_is_run(plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mamlbench\[tune\]'"):
        plan()


def test_a_trial_that_fails_diverges_or_is_refused_counts(tune):
    (study,), _ = tune(10, algorithms=("moody",), scale=TrialScale(0.1, 1))
    statuses = {trial.options["mood"]: (trial.status, trial.score is None) for trial in study.trials}
    assert statuses["fine"] == ("finished", False), "so the seed draws each mood"
    assert statuses["explodes"] == ("diverged", True)
    assert statuses["raises"] == ("failed", True) == statuses["refused"]
    reasons = {trial.options["mood"]: trial.reason for trial in study.trials}
    assert "in a bad mood" in reasons["raises"] and "tuning_plugin.py" in reasons["raises"]
    assert "not today" in reasons["refused"]
    assert len(study.trials) == 10 and not list(study.path.parent.glob("*trial*")), "no checkpoints are left"


def test_the_same_study_goes_on_and_a_larger_budget_adds_trials(tune, plan):
    (study,), first = tune(2, algorithms=("one-rate",))
    again, none = tune(2, algorithms=("one-rate",))
    more, added = tune(3, algorithms=("one-rate",))
    assert (first, none, added) == ([("one-rate", 0), ("one-rate", 1)], [], [("one-rate", 2)])
    assert content(more[0].trials)[:2] == content(again[0].trials) == content(study.trials)
    (other,) = plan(algorithms=("one-rate",), validation_episodes=12)
    assert other.path != study.path and other.trials == [], "other settings are another study"


KILLED = """
import os, signal, sys
from pathlib import Path
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.build import Experiment
from mamlbench.runner.plan import make_request
from mamlbench.runner.tuning import run_study
from mamlbench import atomic_write
from mamlbench.record import tuning_study

def killed_at(number, function):
    count = []
    def counted(*arguments, **named):
        count.append(1)
        if len(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted

class Listener:
    def started(self, *_): pass
    def emit(self, *_, **__): pass

{patch}
plugins = load_plugins(list(map(Path, {files!r})))
folders = Folders(results=Path({results!r}), cache=Path({cache!r}))
request = make_request(**{request!r})
studies = run_study.plan_studies(request, plugins, folders, run_study.TrialScale(0.3, 2))
for _ in run_study.run_studies(studies, 3, plugins, folders, Listener()): pass
"""
PATCHES = {
    "training": "Experiment.compute_update = killed_at(15, Experiment.compute_update)",
    "writing a trial": "tuning_study.os.fsync = killed_at(40, os.fsync)",
    "writing a checkpoint": "atomic_write.Path.replace = killed_at(9, atomic_write.Path.replace)",
}


@pytest.fixture
def run_killed(run_forked, folders, plugin_files, tmp_path):
    """Run a study in processes of which each is killed at a moment, until one ends; the folder of the study."""

    def run(patch):
        values = {"files": list(map(str, plugin_files)), "results": str(tmp_path / "killed")}
        request = {**REQUEST, "checkpoint_seconds": 0}
        code = KILLED.format(patch=patch, cache=str(folders.cache), request=request, **values)
        toys = os.pathsep.join([str(plugin_files[0].parent), os.environ.get("PYTHONPATH", "")])
        ends = []
        while not ends or ends[-1] != 0:
            ends.append(run_forked(code, tmp_path, PYTHONPATH=toys).returncode)
            assert ends[-1] in (0, -9) and len(ends) < 30
        assert len(ends) > 1, "it was killed"
        return tmp_path / "killed" / "tuning"

    return run


@pytest.mark.slow
@pytest.mark.parametrize("when", PATCHES)
def test_a_study_that_is_killed_again_and_again_has_the_trials_of_one_that_is_not(when, tune, run_killed):
    folder = run_killed(PATCHES[when])
    studies, _ = tune(3, checkpoint_seconds=0)
    for study in studies:
        again = [json.loads(line) for line in (folder / study.path.name).read_text().splitlines()]
        expected = [json.loads(line) for line in study.path.read_text().splitlines()]
        assert again[0] == expected[0]
        assert [_without_times(line) for line in again[1:]] == [_without_times(line) for line in expected[1:]]


def _without_times(line):
    return {name: value for name, value in line.items() if name not in TIMES | {"environment"}}


def test_an_interrupt_ends_it_and_the_trial_goes_on_from_its_checkpoint(plugins, folders, plan, tune):
    def interrupt(hook, study, number):
        if hook == "mamlbench_evaluated":
            request_interrupt()

    (study,) = plan(algorithms=("one-rate",), checkpoint_seconds=0)
    with pytest.raises(KeyboardInterrupt):
        list(run_studies([study], 1, plugins, folders, Listener(interrupt)))
    assert study.trials == [] and list(study.path.parent.glob("*-trial0/checkpoint-*.json"))
    listener = Listener()
    (again,), _ = tune(1, listener, algorithms=("one-rate",), checkpoint_seconds=0)
    assert [hook for hook, *_ in listener.events].count("mamlbench_evaluated") == 1, "the second validation alone"
    assert sorted(again.trials[0].validations) == [3, 6]


def test_a_study_that_another_process_works_on_is_left_to_it(plugins, folders, plan, monkeypatch):
    """Here the other process ends its trial while this one waits."""
    (study,) = plan(algorithms=("one-rate",))
    study.path.parent.mkdir(parents=True)
    claim = ClaimWatcher().take(study.path)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        claim.release()

    monkeypatch.setattr("mamlbench.runner.tuning.run_study.time.sleep", wait)
    ended = list(run_studies([study], 1, plugins, folders, Listener()))
    assert len(waits) == 1 and [trial.trial for _, trial in ended] == [0]


def test_a_file_of_another_study_is_refused(plan, tune):
    (study,), _ = tune(1, algorithms=("one-rate",))
    (other,) = plan(algorithms=("one-rate",), seed=1)
    study.path.rename(other.path)
    with pytest.raises(ConfigError, match="holds another study"):
        plan(algorithms=("one-rate",), seed=1)

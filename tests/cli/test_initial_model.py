"""Training that starts from a trained model, through the command line."""

import json

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_record
from mamlbench.runner.checkpoints import load_model

TINY = (
    *("--dataset", "toy", "--ways", "3", "--queries", "2", "--test-episodes", "10", "--validation-episodes", "4"),
    *("--meta-batch-size", "4", "--engine", "loop", "--device", "cpu", "-q"),
)
WIDTH = ("-o", "backbone.width=4")


@pytest.fixture
def run(project, toy_plugin):
    """Run a method in a results folder of its own; returns the path of its record."""
    (project.path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}"]\n')

    def run(name, algorithm, *options, iterations=3):
        command = ("run", "--algo", algorithm, *TINY, *WIDTH, "--iterations", str(iterations))
        project.run(*command, *options, "--results-dir", name)
        (path,) = (project.path / name).glob("*.json")
        return path

    return run


@pytest.fixture
def pretrained(run):
    return run("first", "pretrain")


def test_the_second_stage_starts_from_the_first(run, pretrained, project):
    path = run("second", "meta-baseline", "--init", str(pretrained), iterations=0)
    first, second = load_model(pretrained), load_model(path)
    features = [name for name in second.state if name.startswith("meta/features.")]
    assert features and all(second.state[name].equal(first.state[name]) for name in features)
    record = read_record(path)
    assert (record.spec.init, record.spec.init_sha256) == (str(pretrained), first.sha256)
    other = read_record(run("alone", "meta-baseline", iterations=0))
    assert other.spec.init_sha256 == "" and other.spec_hash != record.spec_hash
    assert other.test.modes["inductive"].untrained_episode_scores != record.test.modes["inductive"].episode_scores
    for mode in record.test.modes.values():
        assert mode.untrained_episode_scores == mode.episode_scores, "untrained is what this run started from"
    shown = project.run("report", "second", "alone").out
    assert "init=" in shown


def test_the_same_method_goes_on_with_its_head(run, pretrained):
    path = run("again", "pretrain", "--init", str(pretrained), iterations=0)
    for mode, result in read_record(path).test.modes.items():
        assert result.episode_scores == read_record(pretrained).test.modes[mode].episode_scores
    first, again = (load_model(record).state for record in (pretrained, path))
    assert again["meta/head.weight"].equal(first["meta/head.weight"])


def test_a_head_of_other_ways_is_left_out(run, pretrained):
    path = run("maml", "maml", "--init", str(pretrained), iterations=0)
    first, other = (load_model(record).state for record in (pretrained, path))
    assert other["meta/head.weight"].shape != first["meta/head.weight"].shape
    assert other["meta/features.0.weight"].equal(first["meta/features.0.weight"])


def test_it_can_be_tested_again_and_verified_and_says_what_it_has_seen(run, pretrained, project):
    path = run("second", "protonet", "--init", str(pretrained))
    tested = project.run("evaluate", str(path), "--device", "cpu", "--json").json()
    assert tested["metrics"] == json.loads(path.read_text())["test"]["metrics"]
    assert tested["seen"]["answer"] == "not seen"
    project.run("verify", str(path))
    for file in (pretrained.parent / pretrained.stem).glob("training-data*"):
        file.unlink()
    unknown = project.run("evaluate", str(path), "--device", "cpu", "--json").json()
    assert unknown["seen"]["answer"] == "unknown", "of the first stage nothing is known any more"


def test_another_network_is_refused(run, pretrained, project):
    command = ("run", "--algo", "protonet", *TINY, "--init", str(pretrained), "-o", "backbone.width=8")
    refused = project.run(*command, expect=ExitCode.USAGE)
    assert "width=4" in refused.err and "width=8" in refused.err and "--init needs the same one." in refused.err


def test_a_model_that_is_not_there_or_has_changed_is_refused(run, pretrained, project):
    missing = project.run("run", "--algo", "protonet", *TINY, "--init", "nothing.json", expect=ExitCode.USAGE)
    assert "There is no model at 'nothing.json'" in missing.err
    path = run("second", "protonet", "--init", str(pretrained))
    other = run("other", "pretrain", "--seed", "1")
    for name in ("model.json", "model.safetensors"):
        (pretrained.parent / pretrained.stem / name).write_bytes((other.parent / other.stem / name).read_bytes())
    changed = project.run("evaluate", str(path), "--device", "cpu", expect=ExitCode.USAGE)
    assert "is not the model any more that the run starts from: its SHA-256 differs." in changed.err

"""Runs killed by SIGKILL and continued through the real command line."""

import json
from pathlib import Path

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_record

RUN = [
    *("run", "--algo", "maml", "--dataset", "toy", "--plugin", "toy.py", "--ways", "3", "--queries", "2"),
    *("--iterations", "12", "--validate-every", "5", "--test-episodes", "10", "--validation-episodes", "6"),
    *("--meta-batch-size", "2", "-o", "backbone.width=4", "--engine", "vmap", "--checkpoint-seconds", "0"),
]
KILLED = """
import os, signal
from mamlbench import atomic_write
from mamlbench.cli.main import main
from mamlbench.runner import train
from mamlbench.runner.build import Experiment

def killed_at(number, function):
    count = []
    def counted(*arguments, **named):
        count.append(1)
        if len(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted

{patch}
main({arguments!r})
"""
PATCHES = {
    "training": "Experiment.compute_update = killed_at(9, Experiment.compute_update)",
    "validation": "Experiment.episodes = killed_at(14, Experiment.episodes)",
    "flushing a checkpoint": "atomic_write.os.fsync = killed_at(12, os.fsync)",
    "renaming a checkpoint": "atomic_write.Path.replace = killed_at(11, atomic_write.Path.replace)",
    "the test": "train.score_test = killed_at(1, train.score_test)",
    "the end of the test": "train.save_samples = killed_at(1, train.save_samples)",
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, toy_plugin):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "toy.py").write_text(toy_plugin.read_text())
    return tmp_path


def result(folder):
    """The one record, without its times, and the trained model."""
    (path,) = folder.glob("*.json")
    record = read_record(path)
    content = record.model_dump(mode="json", exclude={"measurement", "started", "curve", "engine"})
    curve = [(point.iteration, point.loss, point.validation) for point in record.curve]
    return content, curve, (folder / record.model).with_suffix(".safetensors").read_bytes()


@pytest.fixture(scope="module")
def killed(run_forked):
    def killed(when, folder):
        code = KILLED.format(patch=PATCHES[when], arguments=[*RUN, "-q", "--results-dir", "results"])
        done = run_forked(code, folder, MAMLBENCH_CACHE=str(folder / "cache"))
        assert done.returncode == -9, done.stderr
        assert not list((folder / "results").glob("*.json"))

    return killed


@pytest.mark.slow
def test_the_same_command_continues_a_run_killed_at_any_stage(project, call, killed):
    code, _, _ = call(*RUN, "--results-dir", "whole")
    assert code == ExitCode.OK
    for when in PATCHES:
        killed(when, project)
        code, _, err = call(*RUN, "--resume")
        assert code == ExitCode.OK, err
        assert result(project / "results") == result(project / "whole"), when
        (path,) = (project / "results").glob("*.json")
        assert read_record(path).measurement.pieces == 2, when
        assert "goes on from iteration" in err
        assert sorted(p.name for p in path.with_suffix("").iterdir()) == [
            *("episodes.npz", "episodes.png", "model.json", "model.safetensors", "training-data.npz")
        ]
        path.rename(project / "done.json")
        path.with_suffix("").rename(project / f"done-{when}")
        assert not list((project / "results").iterdir()), "no claim and no temporary file is left"
    (project / "done.json").rename(path)
    code, _, err = call(*RUN, "--resume")
    assert code == ExitCode.OK and f"finished already: '{path.stem}'. It is not run again." in err


SUITE = """
algorithm = ["maml", "fomaml"]
dataset = "toy"
plugins = ["toy.py"]
ways = 3
queries = 2
iterations = 12
validate_every = 5
test_episodes = 10
validation_episodes = 6
meta_batch_size = 2
engine = "vmap"
options.backbone.width = 4
"""


def test_a_suite_continues_a_killed_cell_by_itself(project, call, killed):
    (project / "suite.toml").write_text(SUITE)
    killed("the test", project)
    code, _, err = call("suite", "suite.toml", "--results-dir", "results")
    assert code == ExitCode.OK, err
    assert "maml on toy, seed 0: goes on from iteration 12" in err
    records = {r.spec.algorithm.name: r for r in map(read_record, (project / "results").glob("*.json"))}
    assert {name: (r.status, r.attempt, r.measurement.pieces) for name, r in records.items()} == {
        "maml": ("finished", 1, 2),
        "fomaml": ("finished", 1, 1),
    }


def test_an_interrupted_run_says_how_it_is_continued(project, call):
    interrupts = ["interrupts" if word == "maml" else word for word in RUN]
    code, out, err = call(*interrupts, "-o", "outer_lr=0.001", "--json")
    (record,) = json.loads(out)
    assert code == ExitCode.INTERRUPTED and record["checkpoint"]
    path = f"results/{record['name']}.json"
    assert f"To go on from its checkpoint: mamlbench resume {path}" in err
    code, _, err = call("resume", path, "--plugin", "toy.py", "-q")
    assert code == ExitCode.INTERRUPTED, "the toy interrupts itself again"
    assert read_record(project / path).measurement.pieces == 2


@pytest.mark.parametrize("form", ["folder", "stem"])
def test_a_killed_run_is_resumed_by_its_folder(project, call, killed, form):
    killed("training", project)
    (folder,) = (path for path in (project / "results").iterdir() if path.is_dir())
    code, out, err = call("resume", str(folder), "--plugin", "toy.py", "--json")
    (record,) = json.loads(out)
    assert code == ExitCode.OK and record["status"] == "finished" and record["name"] == folder.name
    assert "goes on from iteration 8" in err
    again = folder if form == "folder" else folder.with_name(f"{folder.name}.json")
    code, _, err = call("resume", str(again), "--plugin", "toy.py")
    assert code == ExitCode.OK and "It is not run again" in err


@pytest.mark.parametrize("prepare", [Path.exists, lambda folder: folder.mkdir(parents=True)])
def test_what_is_no_run_cannot_be_resumed(project, call, prepare):
    prepare(project / "results" / "nothing")
    code, _, err = call("resume", "results/nothing")
    assert code == ExitCode.USAGE and "There is no run at 'results/nothing': give the path of its record" in err

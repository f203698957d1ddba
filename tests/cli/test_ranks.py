"""Runs computed by several processes, through the real command line: their numbers, and what a killed one leaves."""

import json
import os
import signal
import subprocess
import sys

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_record

RUN = [
    *("run", "--dataset", "toy", "--plugin", "toy.py", "--ways", "3", "--queries", "2", "--meta-batch-size", "3"),
    *("--iterations", "12", "--validate-every", "5", "--test-episodes", "230", "--validation-episodes", "10"),
    *("--engine", "vmap", "--precision", "float64", "-o", "backbone.width=4"),
]
SGD = ("-o", "outer_optimizer=sgd")
"""Adam divides by the gradient's size, so that it turns the rounding errors of a gradient of zero into steps."""
DIES = """
import os
import signal

from mamlbench.runner.build import Experiment

compute = Experiment.compute_update


def compute_update(self, iteration, batch):
    first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if first and iteration == 8 and os.environ["RANK"] == os.environ["VICTIM"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(self, iteration, batch)


Experiment.compute_update = compute_update

from mamlbench.cli.__main__ import entry

entry()
"""


@pytest.fixture
def folder(tmp_path, toy_plugin, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "toy.py").write_text(toy_plugin.read_text())
    (tmp_path / "dies.py").write_text(DIES)
    return tmp_path


def scores(record):
    return [
        value for mode in record["test"]["metrics"]["accuracy"]["modes"].values() for value in mode["episode_scores"]
    ]


def test_two_processes_compute_one_run(folder, call):
    code, out, err = call(*RUN, "--algo", "maml", *SGD, "-q", "--json")
    assert code == ExitCode.OK, err
    (alone,) = json.loads(out)
    code, out, err = call(*RUN, "--algo", "maml", *SGD, "-q", "--json", "--workers", "2")
    assert code == ExitCode.OK, err
    (together,) = json.loads(out)
    assert together["spec_hash"] == alone["spec_hash"]
    assert (alone["measurement"]["ranks"], together["measurement"]["ranks"]) == (1, 2)
    assert together["measurement"]["examples_seen"] == alone["measurement"]["examples_seen"]
    assert scores(together) == scores(alone)
    losses = [[point["loss"] for point in record["curve"] if point["loss"]] for record in (alone, together)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-10)
    segments = together["measurement"]["segments"]
    assert sum(part["device"] for part in segments.values()) == pytest.approx(together["measurement"]["device_seconds"])
    (first, second) = sorted(path.name for path in (folder / "results").iterdir() if path.is_dir())
    assert {p.name for p in (folder / "results" / first).iterdir()} == {
        p.name for p in (folder / "results" / second).iterdir()
    }


def test_a_method_that_cannot_be_divided_is_refused_once(folder, call):
    method = ("--algo", "reptile", "-o", "inner_optimizer_state=persistent")
    code, _, err = call(*RUN, *method, "-q", "--workers", "2")
    assert code == ExitCode.USAGE
    assert err.count("cannot be trained by several ranks") == err.count("Error:") == 1
    assert not list((folder / "results").glob("*"))


@pytest.fixture
def in_torchrun(monkeypatch):
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)


def test_torchrun_starts_one_run(folder, call, in_torchrun):
    sentences = []
    for options in (["--seeds", "2"], ["--workers", "2"]):
        code, _, err = call(*RUN, "--algo", "maml", *options)
        assert code == ExitCode.USAGE
        sentences.append(err)
    assert sentences[0] == sentences[1] and "torchrun starts the processes of one run" in err
    code, _, err = call("report", "results")
    assert code == ExitCode.USAGE and "start 'report' without it" in err


def torchrun(count, folder, *program, **environment):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *program]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_leaves_a_record_and_another_number_of_ranks_goes_on(folder, call, victim):
    run = [*RUN, "--algo", "maml", *SGD, "-q"]
    code, _, err = call(*run, "--results-dir", "whole")
    assert code == ExitCode.OK, err
    code, text = torchrun(2, folder, "dies.py", *run, VICTIM=str(victim))
    assert code != 0 and f"exitcode  : {-signal.SIGKILL}" in text
    (path,) = (folder / "results").glob("*.json")
    record = read_record(path)
    # torchrun interrupts the other one as soon as it notices, which may be first
    assert record.status in ("failed", "interrupted") and record.checkpoint
    code, text = torchrun(3, folder, "-m", "mamlbench", *run, "--resume")
    assert code == 0, text
    record = read_record(path)
    assert record.status == "finished" and record.measurement.pieces == 2 and record.measurement.ranks == 3
    assert "begun by 2 processes and continued by 3: equal up to rounding." in record.notices
    assert text.count("Record:") == 1, "the first process alone prints"
    (whole,) = (folder / "whole").glob("*.json")
    assert scores(record.model_dump()) == scores(read_record(whole).model_dump())


@pytest.mark.slow
def test_torchrun_starts_the_ranks_again(folder):
    run = [*RUN, "--algo", "maml", "-q", "--resume"]
    code, text = torchrun(2, folder, "--max-restarts=1", "dies.py", *run, VICTIM="1")
    assert code == 0, text
    (path,) = (folder / "results").glob("*.json")
    assert read_record(path).status == "finished" and read_record(path).measurement.pieces == 2

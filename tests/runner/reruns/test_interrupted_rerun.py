"""A rerun that is interrupted: its worker leaves its record and ends, also if the process that started it is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.record import read_record
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.plan import plan
from mamlbench.runner.reruns import rerun as module
from mamlbench.runner.reruns.git_revision import CodePaths
from mamlbench.runner.reruns.rerun import Turn, rerun

ENDLESS = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 10,
    "validation_episodes": 10,
    "meta_batch_size": 2,
    "iterations": 1_000_000,
    "engine": "vmap",
}


@pytest.fixture
def turn(toy_plugin):
    request = RunRequest(algorithms=("reptile",), options={"backbone.width": 4, "test_steps": 1}, **ENDLESS)
    (spec,) = plan(request, load_plugins([toy_plugin]))
    return Turn("HEAD", spec)


@pytest.fixture
def folders(tmp_path):
    return Folders(results=tmp_path / "results", cache=tmp_path / "cache")


def await_training(folders):
    end = time.monotonic() + 60
    while not list(folders.results.glob("*/checkpoint*")):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_an_interrupt_ends_the_worker_with_its_record(turn, folders, toy_plugin):
    def press():
        await_training(folders)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(rerun([turn, turn], {"HEAD": CodePaths((), (toy_plugin,))}, {"HEAD": folders}, lambda *_: None))
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    (record,) = [read_record(path) for path in folders.results.glob("*.json")]
    assert record.status == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["its stdin ends", signal.SIGTERM])
def test_a_worker_ends_alone(turn, folders, toy_plugin, how):
    work = {
        "spec": turn.spec.model_dump(mode="json"),
        "folders": folders.model_dump(mode="json"),
        "plugins": [str(toy_plugin)],
    }
    arguments = [sys.executable, "-P", str(module._WORKER)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        worker.stdin.write(json.dumps(work) + "\n")
        worker.stdin.flush()
        await_training(folders)
        if how is signal.SIGTERM:
            worker.send_signal(how)
        else:
            worker.stdin.close()
        assert worker.wait(60) == 2
        assert "Traceback" not in worker.stderr.read()
    (record,) = [read_record(path) for path in folders.results.glob("*.json")]
    assert record.status == "interrupted"

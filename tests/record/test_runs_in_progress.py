"""Runs in progress: what claims and checkpoints of other processes say, damaged ones included."""

import json

import pytest

from mamlbench.record.claims import ClaimWatcher, claim_path
from mamlbench.record.runs_in_progress import runs_in_progress
from mamlbench.run_spec import Component, Protocol, RunSpec, Training

SPEC = RunSpec(
    algorithm=Component(name="maml"),
    dataset=Component(name="folder", options={"path": "own/flowers"}),
    backbone=Component(name="conv4"),
    sampler=Component(name="fresh"),
    protocol=Protocol(),
    training=Training(iterations=500, meta_batch_size=4, ways=5, shots=1, queries=1, validate_every=100),
    preset="quick",
    seed=3,
)


def checkpoint(folder, slot, number, iteration, scores=()):
    """Write the JSON part of a checkpoint, with validations at 100, 200, ..."""
    curve = [
        {"iteration": 100 * (index + 1), "wall_seconds": 1, "device_seconds": 1, "validation": {"accuracy": score}}
        for index, score in enumerate(scores)
    ]
    content = {
        "number": number,
        "about": {"spec": SPEC.model_dump(mode="json")},
        "progress": {"iteration": iteration, "curve": [{**point, "loss": None} for point in curve]},
    }
    (folder / f"checkpoint-{slot}.json").write_text(json.dumps(content))


@pytest.fixture
def claimed(tmp_path):
    """A run's folder that this process has claimed, below the results folder."""
    folder = tmp_path / "part" / "run-1"
    folder.mkdir(parents=True)
    with ClaimWatcher().take(folder):
        yield folder


def test_the_newest_checkpoint_says_how_far_a_run_is(tmp_path, claimed):
    checkpoint(claimed, 1, 3, 320, [0.4, 0.5, 0.6])
    checkpoint(claimed, 2, 2, 210, [0.4, 0.5])
    (run,) = runs_in_progress(tmp_path, ClaimWatcher())
    assert run.title == "maml on flowers, seed 3" and (run.iteration, run.iterations) == (320, 500)
    assert run.validations == [(100, 0.4), (200, 0.5), (300, 0.6)] and run.metric == "accuracy"
    assert run.process.startswith("process ")


def test_a_run_without_a_checkpoint_has_its_name(tmp_path, claimed):
    (run,) = runs_in_progress(tmp_path, ClaimWatcher())
    assert (run.title, run.iteration, run.iterations, run.validations) == ("run-1", 0, 0, [])


@pytest.mark.parametrize("damage", ["", "{", "[]", "3", '{"about": {}}', '{"number": "x", "about": null}', "[" * 10**5])
def test_a_damaged_checkpoint_counts_as_none(tmp_path, claimed, damage):
    (claimed / "checkpoint-1.json").write_text(damage)
    assert runs_in_progress(tmp_path, ClaimWatcher())[0].title == "run-1"
    checkpoint(claimed, 2, 1, 50)
    assert runs_in_progress(tmp_path, ClaimWatcher())[0].iteration == 50


def test_what_is_not_being_run_is_not_in_progress(tmp_path):
    (tmp_path / "ended").mkdir()
    checkpoint(tmp_path / "ended", 1, 1, 50)
    with ClaimWatcher().take(tmp_path / "a-cell-of-a-suite"):  # no folder: nothing of it has begun
        assert runs_in_progress(tmp_path, ClaimWatcher()) == []
    assert runs_in_progress(tmp_path / "missing", ClaimWatcher()) == []


def test_a_run_on_another_machine_counts_until_its_heartbeat_stands_still(tmp_path):
    (tmp_path / "far").mkdir()
    holder = '{"host": "far", "machine": "another", "pid": 1, "started": "0", "token": "00"}'
    claim_path(tmp_path / "far", 1).write_text(f"{0:020d}\n{holder}\n")
    times = iter([0.0, 0.0, 0.0, 100.0, 100.0, 100.0])
    watcher = ClaimWatcher(clock=lambda: next(times))
    assert runs_in_progress(tmp_path, watcher)[0].process == "process 1 on far"
    next(times)
    assert runs_in_progress(tmp_path, watcher) == []

"""A run in several pieces gives the numbers of one in a single piece, bit for bit, wherever it was cut."""

import json
import os
import shutil
import signal
from contextlib import suppress

import numpy as np
import pytest
import torch

from mamlbench.api import Job
from mamlbench.errors import ConfigError, HeldError, LostClaimError
from mamlbench.plugin import load_plugins
from mamlbench.record import ResultStore, claims, read_record
from mamlbench.record.claims import ClaimWatcher
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner import checkpoint_folder, checkpointer, execute, resuming, train
from mamlbench.runner.build import Experiment
from mamlbench.runner.environment import run_environment
from mamlbench.runner.execute import perform
from mamlbench.runner.plan import plan
from mamlbench.runner.resuming import LATEST

SETTINGS = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 12,
    "validation_episodes": 6,
    "meta_batch_size": 2,
    "iterations": 14,
    "validate_every": 5,
    "checkpoint_seconds": 0,
    "engine": "vmap",
    "options": {"backbone.width": 4},
}


class Killed(GeneratorExit):
    """Ends a run as SIGKILL does, without a record: any other exception is taken for a plugin's, and recorded."""


class Moments:
    """Counts what a run does, and kills it at one of these moments."""

    def __init__(self, monkeypatch):
        self.count, self.kill_at = 0, None
        for owner, name in (
            (Experiment, "training_batch"),
            (Experiment, "compute_update"),
            (Experiment, "episodes"),
            (checkpoint_folder, "write_atomically"),
            (checkpointer, "write_atomically"),
            (train, "save_model"),
            (train, "write_episodes"),
            (train, "save_samples"),
            (ResultStore, "write"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function):
        def counted(*arguments, **named):
            self.count += 1
            if self.count == self.kill_at:
                raise Killed
            return function(*arguments, **named)

        return counted

    def run(self, action, kill_at=None):
        self.count, self.kill_at = 0, kill_at
        try:
            return action()
        finally:
            self.kill_at = None


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def job(tmp_path, plugins, cache):
    """``job("maml", resume=LATEST, iterations=3)``; its records go to ``tmp_path / "results"``."""

    def job(algorithm="maml", resume=None, folder="results", **settings):
        options = SETTINGS["options"] | settings.pop("options", {})
        (spec,) = plan(RunRequest(algorithms=(algorithm,), **(SETTINGS | settings | {"options": options})), plugins)
        return Job(spec=spec, folders=Folders(results=tmp_path / folder, cache=cache), resume=resume)

    return job


@pytest.fixture
def run(plugins):
    return lambda job, emit=None: perform(job, emit, plugins=plugins)


def numbers(record, folder):
    """What must not depend on the number of pieces."""
    content = record.model_dump(mode="json", exclude={"measurement", "started", "engine", "curve", "notices"})
    curve = [(point.iteration, point.loss, point.validation) for point in record.curve]
    measured = record.measurement
    model = [(folder / name).read_bytes() for name in (record.model, record.model.replace(".json", ".safetensors"))]
    return content, curve, (measured.iterations, measured.examples_seen), record.engine["name"], model[1]


METHODS = {
    "maml": {"outer_schedule": "cosine"},
    "reptile": {"inner_optimizer_state": "persistent", "test_steps": 2},
    "pretrain": {"test_steps": 2},
    "maml++": {},
    "fomaml": {"outer_optimizer": "sgd"},
}


@pytest.mark.parametrize("algorithm", METHODS)
def test_a_run_killed_again_and_again_ends_in_the_same_numbers(job, run, tmp_path, monkeypatch, algorithm):
    """Each process comes a few steps further than the one before."""
    options = METHODS[algorithm]
    moments = Moments(monkeypatch)
    whole = moments.run(lambda: run(job(algorithm, folder="whole", options=options)))
    pieces, record = 0, None
    while record is None:
        pieces += 1
        assert pieces < 100, "it does not get on"
        try:
            cut = job(algorithm, resume=LATEST, options=options)
            record = moments.run(lambda cut=cut: run(cut), kill_at=13 + pieces)
        except Killed:
            continue
    assert record.status == "finished", record.reason
    assert 3 <= record.measurement.pieces <= pieces
    assert numbers(record, tmp_path / "results") == numbers(whole, tmp_path / "whole")
    assert record.notices == []


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_nothing(job, run, tmp_path, monkeypatch):
    moments = Moments(monkeypatch)
    whole = moments.run(lambda: run(job(folder="whole")))
    expected = numbers(whole, tmp_path / "whole")
    assert moments.count > 80
    for moment in range(5, moments.count + 1, 9):
        with pytest.raises(Killed):
            moments.run(lambda: run(job()), kill_at=moment)
        assert not list((tmp_path / "results").glob("*.json"))
        record = run(job(resume=LATEST))
        assert numbers(record, tmp_path / "results") == expected, moment
        shutil.rmtree(tmp_path / "results")


def test_times_of_pieces_add_up(job, run, tmp_path, monkeypatch):
    moments = Moments(monkeypatch)
    whole = moments.run(lambda: run(job(folder="whole")))
    assert whole.measurement.pieces == 1
    with pytest.raises(Killed):
        moments.run(lambda: run(job()), kill_at=moments.count // 2)
    checkpoint, _ = checkpoint_folder.CheckpointFolder(next((tmp_path / "results").iterdir())).read()
    before = checkpoint.content["clocks"]
    record = run(job(resume=LATEST))
    measured = record.measurement
    assert measured.pieces == 2 and measured.wall_seconds > before["wall_seconds"] > 0
    for name, segment in measured.segments.items():
        assert segment.wall >= before["segments"][name]["wall"]
    assert sum(segment.wall for segment in measured.segments.values()) == pytest.approx(measured.wall_seconds)
    walls = [point.wall_seconds for point in record.curve]
    assert walls == sorted(walls) and walls[-1] <= measured.wall_seconds
    assert 0 < measured.warmup.wall <= measured.segments["train"].wall


def test_a_kill_in_the_test_does_not_train_again(job, run, tmp_path, monkeypatch):
    def killed(*_):
        raise Killed

    monkeypatch.setattr(train, "write_episodes", killed)
    with pytest.raises(Killed):
        run(job())
    monkeypatch.undo()
    monkeypatch.setattr(Experiment, "compute_update", lambda *_: pytest.fail("trained again"))
    record = run(job(resume=LATEST))
    assert record.status == "finished" and record.measurement.iterations == 14


def test_a_finished_run_is_not_run_again_and_leaves_no_checkpoint(job, run, tmp_path):
    first = run(job())
    texts = []
    again = run(job(resume=LATEST), lambda hook, **named: texts.append((hook, named.get("text"))))
    assert again == first and first.checkpoint is None
    assert ("mamlbench_notice", f"finished already: '{first.name}'. It is not run again.") in texts
    left = {path.name for path in (tmp_path / "results" / first.name).iterdir()}
    assert left == {"model.json", "model.safetensors", "training-data.npz", "episodes.npz", "episodes.png"}
    assert run(job(resume=LATEST, checkpoint_seconds=None)).name == first.name, "how often it is saved changes nothing"
    assert run(job()).attempt == 2, "without resume, it is"


def test_an_interrupted_run_goes_on_under_its_name(job, run, tmp_path, monkeypatch):
    real = Experiment.compute_update

    def interrupted_at_nine(self, number, batch):
        if number == 8:
            signal.raise_signal(signal.SIGTERM)
        return real(self, number, batch)

    monkeypatch.setattr(Experiment, "compute_update", interrupted_at_nine)
    interrupted = run(job())
    monkeypatch.undo()
    assert interrupted.status == "interrupted" and interrupted.reason == "at iteration 9"
    assert interrupted.checkpoint.startswith(f"{interrupted.name}/checkpoint-")
    record = run(job(resume=interrupted.name))
    assert (record.name, record.attempt, record.started) == (interrupted.name, 1, interrupted.started)
    assert record.status == "finished" and read_record(tmp_path / "results" / f"{record.name}.json") == record
    assert len(list((tmp_path / "results").glob("*.json"))) == 1


def test_a_run_of_another_process_is_left_alone(job, run, tmp_path, monkeypatch):
    moments = Moments(monkeypatch)
    with pytest.raises(Killed):
        moments.run(lambda: run(job()), kill_at=60)
    (folder,) = (path for path in (tmp_path / "results").iterdir() if path.is_dir())
    with ClaimWatcher().take(folder), pytest.raises(HeldError, match=f"is being run by process {os.getpid()}"):
        run(job(resume=LATEST))
    assert run(job(resume=LATEST)).status == "finished"


def test_a_claim_that_was_lost_stops_the_run_without_a_trace(job, run, tmp_path, monkeypatch):
    """Another process took over while this one was suspended: nothing of its work may be overwritten."""
    real, count = claims.Claim.check, []

    def check(self):
        count.append(1)
        if len(count) == 5:
            claims.claim_path(self.target, 2).write_text("another process")
        real(self)

    monkeypatch.setattr(claims.Claim, "check", check)
    with pytest.raises(LostClaimError, match="took over"):
        run(job())
    assert not list((tmp_path / "results").glob("*.json")) and not list((tmp_path / "results").rglob("model.*"))


def test_a_process_elsewhere_is_waited_for(job, run, tmp_path, monkeypatch):
    moments = Moments(monkeypatch)
    with pytest.raises(Killed):
        moments.run(lambda: run(job()), kill_at=60)
    (folder,) = (path for path in (tmp_path / "results").iterdir() if path.is_dir())
    holder = '{"host": "far", "machine": "another", "pid": 1, "started": "0", "token": "00"}'
    claims.claim_path(folder, 1).write_text(f"{0:020d}\n{holder}\n")
    monkeypatch.setattr(resuming, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(resuming, "ClaimWatcher", lambda: ClaimWatcher(stale_seconds=0.05))
    texts = []
    record = run(job(resume=LATEST), lambda hook, **named: texts.append(named.get("text")))
    assert record.status == "finished"
    assert "begun by process 1 on far: waiting up to 0 s for a sign of its life." in texts


@pytest.mark.parametrize("which", ["newest", "all"])
def test_a_damaged_checkpoint_is_passed_over_with_a_notice(job, run, tmp_path, monkeypatch, which):
    moments = Moments(monkeypatch)
    whole = moments.run(lambda: run(job(folder="whole")))
    with pytest.raises(Killed):
        moments.run(lambda: run(job()), kill_at=80)
    (folder,) = (path for path in (tmp_path / "results").iterdir() if path.is_dir())
    newest, _ = checkpoint_folder.CheckpointFolder(folder).read()
    for slot in checkpoint_folder.SLOTS if which == "all" else [newest.path.stem]:
        path = folder / f"{slot}.safetensors"
        path.write_bytes(b"\xff" + path.read_bytes()[1:])
    record = run(job(resume=LATEST))
    (notice,) = record.notices
    assert "is damaged" in notice
    assert ("The one before is used." if which == "newest" else "the run begins again") in notice
    assert numbers(record, tmp_path / "results") == numbers(whole, tmp_path / "whole")


def test_a_run_that_cannot_be_continued_says_why(job, run, tmp_path, monkeypatch):
    moments = Moments(monkeypatch)
    with pytest.raises(Killed):
        moments.run(lambda: run(job()), kill_at=60)
    (name,) = (path.name for path in (tmp_path / "results").iterdir() if path.is_dir())
    monkeypatch.setattr(
        execute, "run_environment", lambda *about: run_environment(*about).model_copy(update={"threads": 77})
    )
    with pytest.raises(ConfigError, match=r"cannot be continued exactly: threads \d+ → 77 changed since it began"):
        run(job(resume=name))
    assert run(job(resume=LATEST)).name != name, "another environment: another run"


def test_a_diverged_run_would_diverge_again(job, run):
    record = run(job("explodes"))
    assert record.status == "diverged"
    with pytest.raises(ConfigError, match="it left no checkpoint, or diverged"):
        run(job("explodes", resume=record.name))


def test_the_engine_of_the_beginning_goes_on(job, run, monkeypatch):
    moments = Moments(monkeypatch)
    with pytest.raises(Killed):
        moments.run(lambda: run(job(engine="auto")), kill_at=60)
    monkeypatch.setattr("mamlbench.engine.autotune._Chooser", lambda *_: pytest.fail("chosen again"))
    record = run(job(resume=LATEST, engine="auto"))
    assert record.engine["asked"] == "auto" and record.engine["trials"]


NOISY = """
import numpy as np
import torch
import mamlbench
from mamlbench_plugins.algorithms.fomaml import FOMAML

class Noisy(FOMAML):
    def initial_meta(self):
        return super().initial_meta().map(lambda value: value + 1e-3 * torch.randn_like(value))

    def apply(self, update):
        super().apply(update)
        for value in self.meta.values():
            value += 1e-3 * torch.randn_like(value) + 1e-3 * float(np.random.rand())

@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("noisy", Noisy)
"""


def test_global_generators_go_on_too(job, tmp_path, monkeypatch, toy_plugin):
    """No method should draw from them, in its first parameters least of all; one that does is continued exactly too."""
    (tmp_path / "noisy.py").write_text(NOISY)
    plugins = load_plugins([toy_plugin, tmp_path / "noisy.py"])
    (spec,) = plan(RunRequest(algorithms=("noisy",), **SETTINGS), plugins)
    moments, records = Moments(monkeypatch), []
    for folder, kill_at in ("whole", None), ("results", 60):
        cut = job().model_copy(update={"spec": spec, "folders": job(folder=folder).folders})
        torch.manual_seed(1)
        np.random.seed(1)
        with suppress(Killed):
            records.append(moments.run(lambda cut=cut: perform(cut, plugins=plugins), kill_at=kill_at))
    assert len(records) == 1
    records.append(perform(cut.model_copy(update={"resume": LATEST}), plugins=plugins))
    assert numbers(records[1], tmp_path / "results") == numbers(records[0], tmp_path / "whole")


def test_what_cannot_be_written_does_not_end_the_run(job, run, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_folder, "write_atomically", full)
    record = run(job())
    assert record.status == "finished"
    assert record.listener_errors == ["a checkpoint could not be written: [Errno 28] No space left on device"]


def test_an_option_is_no_part_of_what_a_run_is(job):
    assert job().spec.hash == job(checkpoint_seconds=None).spec.hash == job(checkpoint_seconds=7.5).spec.hash
    assert json.loads(job(checkpoint_seconds=7.5).spec.model_dump_json())["training"]["checkpoint_seconds"] == 7.5

"""A packed job has a process of its own on the other machine, which neither outlives nor forgets it."""

import os
import signal

import pytest

import mamlbench
from mamlbench.api import Job, WorkerLink
from mamlbench.errors import DataError, HeldError
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner import packed_run as module
from mamlbench.runner.packed_run import LostCellError, _CellProcess, perform_packed
from mamlbench.runner.packing import newest_number
from mamlbench.runner.plan import plan
from mamlbench.runner.resuming import LATEST

FOREVER = 100_000


class Link(WorkerLink):
    """Remembers what it is given; ``act(events)`` may return whether to interrupt."""

    def __init__(self, act=lambda events: False, checkpoints=None):
        self.act, self.events, self.checkpoints = act, [], checkpoints or {}

    def exchange(self, events):
        self.events += events
        return self.act(self.events)

    def keep(self, files):
        self.checkpoints = files

    def kept(self):
        return self.checkpoints


@pytest.fixture
def packed(tmp_path, toy_plugin):
    def packed(iterations, resume=LATEST):
        request = RunRequest(
            algorithms=("fomaml",),
            dataset="toy",
            iterations=iterations,
            ways=3,
            queries=2,
            test_episodes=10,
            validation_episodes=10,
            validate_every=5,
            checkpoint_every=1,
            meta_batch_size=2,
            engine="vmap",
            options={"backbone.width": 4},
        )
        (spec,) = plan(request, load_plugins([toy_plugin]))
        folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
        job = Job(spec=spec, folders=folders, plugins=(toy_plugin,), resume=resume)
        return job, mamlbench.pack_job(job)

    return packed


def training(events):
    return any(hook == "mamlbench_progress" for hook, _ in events)


@pytest.mark.slow
def test_a_run_elsewhere_and_its_way_back(packed, tmp_path):
    job, sent = packed(12)
    link = Link()
    result = perform_packed(sent, link=link, scratch=tmp_path / "scratch", threads=1)
    record = mamlbench.unpack_result(job, sent, result)
    assert record.status == "finished" and record.measurement.peak_memory_bytes > 10_000_000
    assert link.events[0][0] == "mamlbench_run_started" and training(link.events)
    again = perform_packed(sent, scratch=tmp_path / "scratch")
    assert again.record == result.record, "a result that was lost on its way is there still"


@pytest.mark.slow
def test_the_launcher_interrupts_a_run(packed, tmp_path):
    job, sent = packed(FOREVER)
    result = perform_packed(sent, link=Link(training), scratch=tmp_path / "scratch")
    record = mamlbench.unpack_result(job, sent, result)
    assert record.status == "interrupted" and newest_number(mamlbench.pack_job(job).files) > 0


@pytest.mark.slow
def test_a_killed_process_is_no_end_and_its_checkpoint_goes_to_another_machine(packed, tmp_path):
    job, sent = packed(60)
    victims = []

    def kill(events):
        if training(events) and link.checkpoints and not victims:
            victims.extend(process.pid for process in processes)
            os.kill(victims[0], signal.SIGKILL)
        return False

    processes, link = [], Link(kill)
    start = _CellProcess.__init__

    def started(self, *arguments):
        start(self, *arguments)
        processes.append(self.process)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_CellProcess, "__init__", started)
        with pytest.raises(LostCellError, match="ended without a result"):
            perform_packed(sent, link=link, scratch=tmp_path / "one")
    elsewhere = Link(checkpoints=link.checkpoints)
    result = perform_packed(sent, link=elsewhere, scratch=tmp_path / "another")
    record = mamlbench.unpack_result(job, sent, result)
    assert record.status == "finished" and record.measurement.pieces == 2


class Scripted:
    """In place of a process: ends by turns with ``ends``."""

    ends = ()

    def __init__(self, folder, orders, threads):
        self.orders = orders
        type(self).seen = orders

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def follow(self, link, results):
        return type(self).ends.pop(0)


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(module, "_CellProcess", Scripted)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return Scripted


def test_a_dying_process_of_the_same_cell_is_waited_for(packed, tmp_path, scripted):
    _, sent = packed(5)
    held, missing = module.PackedResult(error=HeldError("held")), module.PackedResult(error=DataError("none"))
    scripted.ends = [held, held, missing]
    assert perform_packed(sent, scratch=tmp_path / "scratch") is missing


def test_what_a_worker_lays_out(packed, tmp_path, scripted, monkeypatch):
    _, sent = packed(5, resume=None)
    monkeypatch.setenv("MAMLBENCH_DATA", str(tmp_path / "here"))
    old = tmp_path / "scratch" / "old"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    scripted.ends = [module.PackedResult()]
    perform_packed(sent, scratch=tmp_path / "scratch", data_dir=tmp_path / "there", runs_at_once=3)
    orders = scripted.seen
    assert orders["resume"] == LATEST, "what is tried again goes on"
    assert orders["data"] == (("launcher.data_dir", tmp_path / "there"),) and orders["runs_at_once"] == 3
    (plugin,) = orders["plugins"]
    assert plugin.read_bytes() == next(iter(sent.plugins.values())) and not old.exists()
    scripted.ends = [module.PackedResult()]
    perform_packed(sent, scratch=tmp_path / "scratch")
    assert scripted.seen["data"] == (("MAMLBENCH_DATA", tmp_path / "here"),)


def test_a_link_that_connects_nothing():
    link = WorkerLink()
    assert link.exchange([]) is False and link.kept() == {} and link.keep({}) is None

"""Suites shared by several processes: every cell is run once, although some of them die."""

import threading
import time

import pytest

from mamlbench.api import Job, Launcher
from mamlbench.errors import HeldError, RunFailedError
from mamlbench.plugin import load_plugins
from mamlbench.record import ResultStore, make_record
from mamlbench.record.claims import claim_path
from mamlbench.record.run_record import Measurement, Segment
from mamlbench.run_spec import Folders
from mamlbench.runner.environment import run_environment
from mamlbench.runner.suites import join_suite as module
from mamlbench.runner.suites.join_suite import join_suite
from mamlbench.runner.suites.run_suite import plan_suite
from mamlbench.suite import read_suite

SUITE = """
algorithm = ["maml", "reptile"]
iterations = 10
seeds = 5
device = "cpu"
"""
MEASURED = Measurement(
    segments={}, warmup=Segment(), wall_seconds=1, device_seconds=1, device_clock="cpu", iterations=10, examples_seen=1
)


class Recording(Launcher):
    """Writes a record in place of a run; ``ends`` maps an algorithm to what its runs end with, one after the other."""

    def __init__(self, ends=None, seconds=0.0):
        super().__init__(Launcher.Options())
        self.ends, self.seconds, self.started = ends or {}, seconds, []

    def launch(self, jobs, emit):
        for job in jobs:
            self.started.append(job.spec.hash)
            time.sleep(self.seconds)
            ends = self.ends.get(job.spec.algorithm.name)
            end = ends.pop(0) if ends else "finished"
            yield job, (record(job, end) if isinstance(end, str) else end)


def record(job, status, **changed):
    environment = run_environment("cpu", load_plugins(), "float32", job.spec).model_copy(update=changed)
    store = ResultStore(job.folders.results)
    name, attempt = store.reserve(job.spec, environment.fingerprint)
    made = make_record(job.spec, environment, status, name=name, attempt=attempt, measurement=MEASURED, reason="")
    store.write(name, made)
    return made


@pytest.fixture
def join(tmp_path, monkeypatch):
    """``join(launcher)``: one process's part; how each cell ended."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    (tmp_path / "suite.toml").write_text(SUITE)
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")

    def join(launcher, **flags):
        plugins = load_plugins()
        planned = plan_suite(read_suite(tmp_path / "suite.toml"), plugins, folders, **flags)
        return list(join_suite(planned, plugins, folders, launcher, **flags)), planned

    return join


def test_several_run_every_cell_once(join, tmp_path):
    launchers = [Recording(seconds=0.01) for _ in range(6)]
    ends = {}

    def work(number):
        ends[number], _ = join(launchers[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = [name for launcher in launchers for name in launcher.started]
    assert len(started) == len(set(started)) == 10
    assert len(list((tmp_path / "results").glob("*.json"))) == 10
    for number in range(6):
        if ends[number]:  # one that planned late has nothing to do
            assert {cell.state for cell in ends[number]} == {"finished"}
    assert not list((tmp_path / "results").glob(".*")), "no claim is left"


def test_cells_of_others_are_waited_for_and_shown(join, tmp_path):
    cells, planned = join(Recording())
    assert len(cells) == 10 and {cell.reason for cell in cells} == {""}
    for path in (tmp_path / "results").glob("*.json"):
        path.unlink()
    held = planned.cells[0]
    environment = planned.environment_of(held.spec)
    store = ResultStore(tmp_path / "results")
    target = store.folder / store.cell_name(held.spec, environment.software)
    claim = module.ClaimWatcher().take(target)

    class Finishes(Recording):
        def launch(self, jobs, emit):
            if len(self.started) == 8:
                record(jobs[0].model_copy(update={"spec": held.spec}), "finished")
                claim.release()
            yield from super().launch(jobs, emit)

    launcher = Finishes()
    cells, _ = join(launcher)
    assert held.spec.hash not in launcher.started and len(launcher.started) == 9
    assert [cell.reason for cell in cells] == [""] * 9 + ["by another process"]
    assert not claim_path(target, 1).exists()


def test_a_run_that_a_dead_process_left_at_work_is_waited_for(join):
    launcher = Recording({"maml": [HeldError("is being run"), HeldError("is being run")]})
    cells, _ = join(launcher)
    assert {cell.state for cell in cells} == {"finished"} and len(launcher.started) == 12


def test_a_cell_whose_process_is_killed_is_tried_again_but_not_for_ever(join):
    lost = RunFailedError("the run's process ended without a result")
    launcher = Recording({"maml": [lost] * 6})
    cells, _ = join(launcher)
    assert [cell.state for cell in cells].count("failed") == 1 and len(cells) == 10
    assert len(launcher.started) == 15


def test_failed_cells_are_retried_by_one_process_only(join, tmp_path):
    cells, _ = join(Recording({"maml": ["failed", "diverged"]}))
    assert sorted({cell.state for cell in cells}) == ["failed", "finished"]
    again = Recording()
    assert join(again)[0] == [] and again.started == []
    retried = Recording({"maml": ["failed"]})
    cells, _ = join(retried, retry_failed=True)
    assert len(retried.started) == 2 and sorted(cell.state for cell in cells) == ["failed", "finished"]


def test_another_machine_counts_and_other_code_does_not(join, tmp_path):
    _, planned = join(Recording())
    for path in (tmp_path / "results").glob("*.json"):
        path.unlink()
    first, second = planned.cells[:2]
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    record(Job(spec=first.spec, folders=folders), "finished", cpu="another processor", threads=77)
    record(Job(spec=second.spec, folders=folders), "finished", code_hash="0" * 16)
    launcher = Recording()
    join(launcher)
    assert first.spec.hash not in launcher.started and second.spec.hash in launcher.started


def test_an_interrupt_ends_this_process_only(join):
    launcher = Recording({"maml": ["finished", "interrupted"]})
    cells, _ = join(launcher)
    assert [cell.state for cell in cells] == ["finished", "interrupted"]
    cells, _ = join(Recording())
    assert len(cells) == 9 and {cell.state for cell in cells} == {"finished"}

"""What is made of the outcomes that a launcher brings: in any order, of every kind, or not at all."""

import os
import pickle
import signal
import threading

import pytest

import mamlbench
from mamlbench.api import Job, Launcher
from mamlbench.errors import ConfigError, DataError, RunFailedError, UnwrittenResultError
from mamlbench.plugin import load_plugins
from mamlbench.record import ResultStore, make_record, read_record
from mamlbench.record.file_hashes import sealed
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.environment import run_environment
from mamlbench.runner.launch import launch, launch_each, make_launcher
from mamlbench.runner.plan import plan
from mamlbench.runner.suites.run_suite import SuiteCell, ended_cell


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


@pytest.fixture
def folders(tmp_path):
    return Folders(results=tmp_path / "results", cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def specs(plugins):
    return plan(RunRequest(algorithms=("maml",), seeds=3, iterations=1, device="cpu"), plugins)


@pytest.fixture
def recorded(plugins, folders):
    """Write the record of a job as if it had been run."""

    def recorded(job, status="finished"):
        environment = run_environment("cpu", plugins, job.spec.precision, job.spec)
        stem, attempt = ResultStore(folders.results).reserve(job.spec, environment.fingerprint)
        record = make_record(job.spec, environment, status, name=stem, attempt=attempt)
        ResultStore(folders.results).write(stem, record)
        return sealed(record)

    return recorded


def launcher(function):
    """A launcher of one function."""
    return type("Made", (Launcher,), {"launch": lambda self, jobs, emit: function(jobs, emit)})(None)


def test_records_come_in_the_order_of_the_specs_whatever_theirs_was(specs, plugins, folders, recorded):
    backwards = launcher(lambda jobs, emit: ((job, recorded(job)) for job in reversed(jobs)))
    assert [place for place, _ in launch_each(specs, plugins, folders, backwards)] == [2, 1, 0]
    assert [record.spec for record in launch(specs, plugins, folders, launcher=backwards)] == specs


def test_jobs_can_be_done_from_anywhere(specs, plugins, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = []
    relative = Folders(results="results", data=(("--data-dir", "data"),), cache="cache")
    list(launch_each(specs, plugins, relative, launcher(lambda jobs, emit: seen.extend(jobs) or ())))
    assert {job.folders for job in seen} == {
        Folders(results=tmp_path / "results", data=(("--data-dir", tmp_path / "data"),), cache=tmp_path / "cache")
    }
    assert len(list((tmp_path / "results").glob("*.json"))) == len(specs), "all were lost"


def test_where_there_is_nothing_to_do_no_launcher_is_asked(plugins, folders):
    assert launch([], plugins, folders, launcher=launcher(lambda jobs, emit: 1 / 0)) == []


def test_a_single_run_goes_through_a_launcher_that_was_asked_for(specs, plugins, folders, recorded):
    only = launcher(lambda jobs, emit: [(jobs[0], recorded(jobs[0]))])
    (record,) = launch(specs[:1], plugins, folders, launcher=only)
    assert record.spec == specs[0]


def test_listeners_hear_events_and_their_errors_stand_in_the_record_of_that_run(specs, folders, recorded):
    plugins, heard = load_plugins(), []

    class Listener:
        @mamlbench.hookimpl
        def mamlbench_progress(self, spec, step):
            heard.append((spec.seed, step))
            if spec.seed == 1:
                raise RuntimeError("tracker down")

        @mamlbench.hookimpl
        def mamlbench_run_finished(self, spec, record):
            heard.append((spec.seed, record.status))

    def interleaved(jobs, emit):
        for step in (1, 2):
            for job in jobs:
                emit("mamlbench_progress", spec=pickle.loads(pickle.dumps(job.spec)), step=step, metrics={"loss": 1.0})
        for job in jobs:
            yield pickle.loads(pickle.dumps(job)), recorded(job)

    plugins.manager.register(Listener(), name="listener")
    records = launch(specs, plugins, folders, launcher=launcher(interleaved))
    events = [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)]
    assert heard == events + [(seed, "finished") for seed in (0, 1, 2)]
    errors = [[text.partition(" (")[0] for text in record.listener_errors] for record in records]
    assert errors == [[], ["listener: mamlbench_progress: RuntimeError: tracker down"], []]
    stored = read_record(folders.results / f"{records[1].name}.json")
    assert stored == records[1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RunFailedError("out of memory on node 7"), "out of memory on node 7"),
        (BrokenPipeError("the network is down"), "BrokenPipeError: the network is down"),
    ],
)
def test_a_lost_run_leaves_a_failed_record(specs, plugins, folders, recorded, error, reason):  # noqa: PLR0917
    outcomes = launcher(lambda jobs, emit: ((job, error if job.spec.seed == 1 else recorded(job)) for job in jobs))
    records = launch(specs, plugins, folders, launcher=outcomes)
    assert [record.status for record in records] == ["finished", "failed", "finished"] and records[1].reason == reason
    assert read_record(folders.results / f"{records[1].name}.json") == records[1]


def test_a_run_that_the_launcher_forgets_is_lost(specs, plugins, folders, recorded):
    records = launch(specs, plugins, folders, launcher=launcher(lambda jobs, emit: [(jobs[0], recorded(jobs[0]))]))
    assert [record.status for record in records] == ["finished", "failed", "failed"]
    assert records[1].reason == "the launcher returned no result of this run"


def test_what_cannot_be_started_is_raised_and_the_launcher_is_closed(specs, plugins, folders):
    closed = []

    def refuses(jobs, emit):
        try:
            yield jobs[0], DataError("no data")
            yield jobs[1], AssertionError("went on")
        finally:
            closed.append(True)

    with pytest.raises(DataError, match="no data"):
        launch(specs, plugins, folders, launcher=launcher(refuses))
    assert closed == [True]


def test_an_interrupt_leaves_the_rest_unstarted(specs, plugins, folders, recorded):
    def interrupted(jobs, emit):
        yield jobs[1], recorded(jobs[1], "interrupted")

    records = launch(specs, plugins, folders, launcher=launcher(interrupted))
    assert [(record.spec.seed, record.status) for record in records] == [(1, "interrupted")]


@pytest.mark.parametrize("begun", [[], [0, 2]])
def test_a_launcher_may_leave_an_interrupt_to_others(specs, plugins, folders, begun):
    def falls(jobs, emit):
        for number in begun:
            emit("mamlbench_run_started", spec=jobs[number].spec)
        raise KeyboardInterrupt
        yield

    ended = list(launch_each(specs, plugins, folders, launcher(falls)))
    assert [place for place, _ in ended] == (begun or [0])
    assert all(isinstance(outcome, KeyboardInterrupt) for _, outcome in ended)
    with pytest.raises(KeyboardInterrupt):
        launch(specs, plugins, folders, launcher=launcher(falls))


def test_names_and_options_are_checked(plugins):
    assert make_launcher("processes", {"max_parallel": "3"}, plugins).options.max_parallel == 3
    with pytest.raises(ConfigError, match=r"Unknown launcher 'proceses'\. Did you mean 'processes'"):
        make_launcher("proceses", {}, plugins)
    with pytest.raises(
        ConfigError, match=r"launcher 'processes': option 'launcher\.max_parallel': .* equal to 1, not 0"
    ):
        make_launcher("processes", {"max_parallel": 0}, plugins)
    with pytest.raises(
        ConfigError, match=r"launcher 'processes' has no option 'maxparallel'\. Did you mean 'max_parallel'"
    ):
        make_launcher("processes", {"maxparallel": 2}, plugins)


def test_a_full_disk_is_an_error_of_the_runs_whose_records_it_takes(specs, folders, recorded, monkeypatch):
    """The first run was lost. The second has its record, without what a listener raised in it."""
    plugins = load_plugins()

    class Listener:
        @mamlbench.hookimpl
        def mamlbench_run_finished(self, spec, record):
            raise RuntimeError("tracker down")

    def full(store, stem, record):
        raise UnwrittenResultError("No space left on device")

    def ends(jobs, emit):
        record = recorded(jobs[1])
        monkeypatch.setattr(ResultStore, "write", full)
        yield jobs[0], OSError("its worker died")
        yield jobs[1], record

    plugins.manager.register(Listener())
    (_, first), (_, second) = launch_each(specs[:2], plugins, folders, launcher(ends))
    assert isinstance(first, UnwrittenResultError) and ended_cell(SuiteCell(specs[0], "to do"), first).state == "failed"
    assert second.status == "finished" and "tracker down" in second.listener_errors[0]
    assert read_record(folders.results / f"{second.name}.json").listener_errors == []


TINY = {"dataset": "toy", "ways": 3, "queries": 2, "test_episodes": 20, "validation_episodes": 10, "meta_batch_size": 4}


@pytest.fixture
def job(toy_plugin, folders):
    asked = RunRequest(algorithms=("fomaml",), options={"backbone.width": 4}, iterations=2, **TINY)
    (spec,) = plan(asked, load_plugins([toy_plugin]))
    return Job(spec=spec, folders=folders, plugins=(toy_plugin,))


def test_a_job_crosses_borders_and_is_done_there(job, folders):
    assert pickle.loads(pickle.dumps(job)) == Job.model_validate_json(job.model_dump_json()) == job
    assert pickle.loads(pickle.dumps(mamlbench.perform)) is mamlbench.perform
    heard, before = [], signal.getsignal(signal.SIGTERM)
    record = mamlbench.perform(job, lambda hook, **arguments: heard.append(hook), runs_at_once=4)
    assert signal.getsignal(signal.SIGTERM) is before
    assert record.status == "finished" and read_record(folders.results / f"{record.name}.json") == record
    assert record.measurement.runs_at_once == 4 and record.measurement.peak_memory_bytes is None
    assert heard[0] == "mamlbench_run_started" and "mamlbench_progress" in heard
    assert "mamlbench_run_finished" not in heard, "the launching process emits it"


def test_a_job_is_done_in_a_thread_too(job):
    records = []
    thread = threading.Thread(target=lambda: records.append(mamlbench.perform(job)))
    thread.start()
    thread.join()
    assert [record.status for record in records] == ["finished"]


def test_a_job_that_is_terminated_leaves_its_record(job):
    def terminated(hook, **arguments):
        if hook == "mamlbench_progress":
            os.kill(os.getpid(), signal.SIGTERM)

    assert mamlbench.perform(job, terminated).status == "interrupted"

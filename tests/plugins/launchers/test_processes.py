"""The built-in launcher returns a result for every way in which a process can end, and leaves none running."""

import multiprocessing
import os
import signal

import pytest

from mamlbench.api import Job
from mamlbench.errors import MamlbenchError, RunFailedError
from mamlbench.plugin import load_plugins
from mamlbench.record import RunRecord
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.plan import plan
from mamlbench_plugins.launchers import processes
from mamlbench_plugins.launchers.processes import Processes

TINY = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 20,
    "validation_episodes": 10,
    "meta_batch_size": 4,
    "engine": "vmap",
}
FOREVER = 100_000


@pytest.fixture
def jobs(tmp_path, toy_plugin):
    plugins = load_plugins([toy_plugin])
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")

    def jobs(*runs):
        """One job for each (algorithm, iterations)."""
        made = []
        for number, (name, iterations) in enumerate(runs):
            request = RunRequest(
                algorithms=(name,), options={"backbone.width": 4}, iterations=iterations, seed=number, **TINY
            )
            made += [Job(spec=spec, folders=folders, plugins=(toy_plugin,)) for spec in plan(request, plugins)]
        return made

    yield jobs
    assert not multiprocessing.active_children()


def launched(jobs, emit=lambda hook, **arguments: None, **options):
    return Processes(Processes.Options(**options)).launch(jobs, emit)


def test_one_after_the_other_with_every_kind_of_result(jobs):
    submitted = jobs(("fomaml", 2), ("dies", 2), ("explodes", 20))
    events = []
    ended = list(launched(submitted, lambda hook, *, spec, **arguments: events.append((spec.seed, hook))))
    assert [job for job, _ in ended] == submitted
    (_, fine), (_, dead), (_, diverged) = ended
    assert fine.status == "finished" and diverged.status == "diverged"
    assert fine.measurement.runs_at_once == 1 and fine.measurement.peak_memory_bytes > 10_000_000
    assert isinstance(dead, RunFailedError)
    assert "ended without a result (killed by signal 9); too little memory is the usual cause" in str(dead)
    assert [seed for seed, _ in events] == sorted(seed for seed, _ in events)
    assert {(0, "mamlbench_run_started"), (0, "mamlbench_progress"), (2, "mamlbench_evaluated")} <= set(events)


@pytest.mark.usefixtures("spawned_workers")
def test_a_process_as_users_have_it(jobs):
    (job,) = jobs(("reptile", 2))
    ((same, record),) = launched([job])
    assert same == job and record.status == "finished" and record.measurement.peak_memory_bytes > 10_000_000


def test_a_job_that_cannot_be_started_does_not_affect_the_others(jobs):
    (job,) = jobs(("fomaml", 2))
    impossible = job.spec.model_copy(update={"protocol": job.spec.protocol.model_copy(update={"ways": 99})})
    ended = dict(zip("ab", launched([job.model_copy(update={"spec": impossible}), job]), strict=True))
    error, record = ended["a"][1], ended["b"][1]
    assert isinstance(error, MamlbenchError) and not isinstance(error, RunFailedError) and "99 ways" in str(error)
    assert record.status == "finished"


def test_runs_at_the_same_time_are_marked_in_their_records(jobs):
    submitted = jobs(("fomaml", 1), ("fomaml", 1))
    alive = []
    ended = list(
        launched(submitted, lambda hook, **arguments: alive.append(multiprocessing.active_children()), max_parallel=3)
    )
    assert len(alive[0]) == 2, "the second started before the first message of the first"
    assert sorted(job.spec.seed for job, _ in ended) == [0, 1]
    for job, record in ended:
        assert record.spec == job.spec and record.status == "finished"
        assert record.measurement.runs_at_once == 2, "no more than there are jobs"
        assert record.measurement.peak_memory_bytes > 10_000_000


def test_an_interrupt_ends_all_that_runs_and_starts_nothing_more(jobs):
    submitted = jobs(("fomaml", FOREVER), ("fomaml", FOREVER), ("fomaml", FOREVER))
    training = set()

    def emit(hook, *, spec, **arguments):
        if hook == "mamlbench_progress":
            training.add(spec.seed)
            if training == {0, 1}:
                training.add("interrupted once")
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ended = list(launched(submitted, emit, max_parallel=2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert {job.spec.seed for job, _ in ended} == {0, 1}
    assert all(isinstance(record, RunRecord) and record.status == "interrupted" for _, record in ended)


@pytest.mark.slow
@pytest.mark.usefixtures("spawned_workers")
def test_workers_that_inherit_an_ignored_sigint_are_interrupted_too(jobs):
    """As under nohup, or in the background of a shell script."""

    def emit(hook, **arguments):
        if hook == "mamlbench_progress" and not interrupted:
            interrupted.append(hook)
            os.kill(os.getpid(), signal.SIGTERM)

    interrupted = []
    handlers = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        ((_, record),) = launched(jobs(("reptile", FOREVER)), emit)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert isinstance(record, RunRecord) and record.status == "interrupted"


def test_a_worker_that_was_interrupted_alone_ends_the_others_too(jobs):
    ended = list(launched(jobs(("interrupts", 20), ("fomaml", FOREVER), ("fomaml", 1)), max_parallel=2))
    assert {job.spec.seed for job, _ in ended} == {0, 1}
    assert {getattr(outcome, "status", "interrupted") for _, outcome in ended} == {"interrupted"}


def test_a_worker_that_ignores_interrupts_is_killed(jobs, monkeypatch):
    monkeypatch.setattr(processes, "_GRACE_SECONDS", 0)

    def emit(hook, **arguments):
        raise KeyboardInterrupt

    (job,) = jobs(("fomaml", FOREVER))
    ((same, outcome),) = launched([job], emit)
    assert same == job and isinstance(outcome, KeyboardInterrupt)


def test_closing_the_iterator_ends_all_workers(jobs):
    (quick, slow) = jobs(("fomaml", 1), ("fomaml", FOREVER))
    outcomes = launched([quick, slow], max_parallel=2)
    assert next(outcomes)[0] == quick
    outcomes.close()
    assert not multiprocessing.active_children()

"""What all launchers of clusters do, with a cluster that is none."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from mamlbench.api import ConfigError, PackedResult, RunFailedError
from mamlbench_plugins.launchers import cluster as module
from mamlbench_plugins.launchers.cluster import ClusterLauncher, ClusterOptions, gpus_of
from mamlbench_plugins.launchers.processes import Processes


class Fake(ClusterLauncher):
    """Cells end by turns, the latest first; those in ``held`` run already, and come back when they are interrupted."""

    def __init__(self, held=(), endless=(), **options):
        super().__init__(ClusterOptions(**options))
        self.held, self.endless = set(held), set(endless)
        self.submitted, self.forgotten, self.most, self.interrupted = [], [], 0, set()
        self.closed = False

    @contextmanager
    def connect(self, packed, jobs):
        try:
            yield self
        finally:
            self.closed = True

    def submit(self, packed):
        self.submitted.append(packed.key)

    def running(self, keys):
        return self.held & set(keys)

    def collect(self, keys):
        self.most = max(self.most, len(keys))
        events = [("mamlbench_notice", {"spec": key, "text": "at work"}) for key in keys]
        last = [key for key in keys if key not in self.endless or key in self.interrupted][-1:]
        return events, {key: f"record of {key}" for key in last}

    def interrupt(self, keys):
        self.interrupted |= set(keys)

    def forget(self, keys):
        self.forgotten += keys


@pytest.fixture(autouse=True)
def no_packing(monkeypatch):
    """Keys are the jobs themselves, and results come back as they are."""
    monkeypatch.setattr(module, "pack_job", lambda job: SimpleNamespace(key=job))
    monkeypatch.setattr(module, "unpack_result", lambda job, packed, result: result)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)


def ignored(hook, **arguments):
    pass


def test_results_arrive_as_cells_end():
    launcher, events = Fake(), []
    ended = list(launcher.launch(["a", "b", "c"], lambda hook, **arguments: events.append(arguments["spec"])))
    assert ended == [("c", "record of c"), ("b", "record of b"), ("a", "record of a")]
    assert launcher.submitted == ["a", "b", "c"] and launcher.forgotten == ["c", "b", "a"]
    assert events == ["a", "b", "c", "a", "b", "a"] and launcher.closed


def test_at_most_so_many_are_submitted_at_a_time():
    launcher = Fake(max_parallel=2)
    assert [job for job, _ in launcher.launch(["a", "b", "c", "d"], ignored)] == ["b", "c", "d", "a"]
    assert launcher.most == 2


def test_cells_that_run_already_are_not_submitted_again():
    launcher = Fake(held=["b"])
    assert {job for job, _ in launcher.launch(["a", "b"], ignored)} == {"a", "b"}
    assert launcher.submitted == ["a"]


def test_attaching_starts_nothing():
    launcher = Fake(held=["b"])
    assert list(launcher.attach(["a", "b"], ignored)) == [("b", "record of b")]
    assert launcher.submitted == []
    with pytest.raises(ConfigError, match="nothing to attach to"):
        list(Processes(Processes.Options()).attach([], ignored))


def test_a_failed_unpacking_is_the_end_of_its_cell_alone(monkeypatch):
    def refuse(job, packed, result):
        if job == "b":
            raise RunFailedError("not accepted")
        return result

    monkeypatch.setattr(module, "unpack_result", refuse)
    ended = dict(Fake().launch(["a", "b"], ignored))
    assert ended["a"] == "record of a" and isinstance(ended["b"], RunFailedError)


def test_an_interrupt_brings_back_what_has_begun_and_starts_no_more():
    launcher = Fake(endless=["a", "b"], max_parallel=2)

    def emit(hook, **arguments):
        if len(launcher.submitted) == 2 and not launcher.interrupted:
            raise KeyboardInterrupt

    ended = list(launcher.launch(["a", "b", "c"], emit))
    assert ended == [("b", "record of b"), ("a", "record of a")]
    assert launcher.submitted == ["a", "b"] and set(launcher.forgotten) == {"a", "b"}


def test_cells_that_do_not_come_back_after_an_interrupt_are_dropped(monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.0)
    launcher = Fake(endless=["a"])
    outcomes = launcher.launch(["a"], ignored)

    def emit(hook, **arguments):
        raise KeyboardInterrupt

    outcomes = launcher.launch(["a"], emit)
    ((job, end),) = outcomes
    assert job == "a" and isinstance(end, KeyboardInterrupt) and launcher.forgotten == ["a"]


def test_a_closed_launch_leaves_nothing_running():
    launcher = Fake()
    outcomes = launcher.launch(["a", "b", "c"], ignored)
    next(outcomes)
    outcomes.close()
    assert launcher.interrupted == {"a", "b"} and set(launcher.forgotten) == {"a", "b", "c"} and launcher.closed


def test_a_cell_on_cuda_has_a_gpu():
    on = {device: SimpleNamespace(spec=SimpleNamespace(device=device)) for device in ("cpu", "cuda", "cuda:1")}
    assert [gpus_of(packed, ClusterOptions()) for packed in on.values()] == [0, 1, 1]
    assert gpus_of(on["cpu"], ClusterOptions(gpus=0.5)) == 0.5


def test_a_missing_package_is_named_with_its_extra():
    with pytest.raises(ConfigError, match=r"pip install 'mamlbench\[dask\]'"):
        module.require("no_such_package", "dask")
    assert isinstance(module.lost("gone"), PackedResult)

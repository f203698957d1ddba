"""A packed job has all that another machine needs, and its result gets its place in the results folder."""

import os
import pickle
import signal

import pytest

import mamlbench
from mamlbench.api import Job, PackedResult
from mamlbench.errors import ConfigError, DataError, RunFailedError
from mamlbench.plugin import load_plugins
from mamlbench.record import read_record
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.packing import LAUNCHED, checkpoint_files, is_launched, newest_number, run_files, write_files
from mamlbench.runner.plan import plan
from mamlbench.runner.resuming import LATEST

TINY = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 10,
    "validation_episodes": 10,
    "validate_every": 2,
    "meta_batch_size": 2,
    "engine": "vmap",
    "options": {"backbone.width": 4},
}


@pytest.fixture
def job(tmp_path, toy_plugin):
    request = RunRequest(algorithms=("fomaml",), iterations=4, **TINY)
    (spec,) = plan(request, load_plugins([toy_plugin]))
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    return Job(spec=spec, folders=folders, plugins=(toy_plugin,), resume=LATEST)


class Elsewhere:
    """Another machine, on which the run happens in this process."""

    def __init__(self, tmp_path):
        self.results = tmp_path / "elsewhere"

    def perform(self, job, packed, emit=None):
        write_files(self.results, packed.files)
        for name in packed.taken:
            (self.results / name).mkdir(parents=True, exist_ok=True)
        folders = Folders(results=self.results, cache=job.folders.cache)
        record = mamlbench.perform(job.model_copy(update={"folders": folders, "resume": LATEST}), emit)
        return PackedResult(
            (self.results / f"{record.name}.json").read_bytes(), run_files(self.results / record.name)
        ), record


def interrupt_at(iteration):
    def emit(hook, **arguments):
        if hook == "mamlbench_progress" and arguments["step"] == iteration:
            os.kill(os.getpid(), signal.SIGINT)

    return emit


def test_a_record_comes_back_with_its_files(job, tmp_path):
    packed = pickle.loads(pickle.dumps(mamlbench.pack_job(job)))
    assert is_launched(job) and list(packed.plugins) == [job.plugins[0].name]
    result, there = Elsewhere(tmp_path).perform(job, packed)
    record = mamlbench.unpack_result(job, packed, pickle.loads(pickle.dumps(result)))
    assert record == there == read_record(job.folders.results / f"{record.name}.json")
    assert run_files(job.folders.results / record.name) == result.files and record.model.endswith("/model.json")
    assert not (job.folders.results / LAUNCHED).exists()


def test_a_job_has_its_key_until_its_result_is_back(job):
    first = mamlbench.pack_job(job)
    assert mamlbench.pack_job(job).key == first.key, "a second launcher finds it"
    fresh = mamlbench.pack_job(job.model_copy(update={"resume": None}))
    assert fresh.key != first.key and fresh.owner == first.owner
    error = DataError("no data there")
    assert mamlbench.unpack_result(job, fresh, PackedResult(error=error)) is error
    assert not is_launched(job) and mamlbench.pack_job(job).key != fresh.key


def test_an_interrupted_run_goes_on_elsewhere_and_gets_its_place_back(job, tmp_path):
    before = mamlbench.perform(job, interrupt_at(2))
    assert before.status == "interrupted" and before.checkpoint
    packed = mamlbench.pack_job(job)
    assert newest_number(packed.files) >= 1 and packed.taken == (before.name,)
    notices = []

    def emit(hook, **arguments):
        notices.append(arguments.get("text", ""))

    result, _ = Elsewhere(tmp_path).perform(job, packed, emit)
    record = mamlbench.unpack_result(job, packed, result)
    assert any("goes on from iteration" in text for text in notices)
    assert record.status == "finished" and record.name == before.name
    assert not checkpoint_files(job.folders.results / record.name)
    assert [path.stem for path in job.folders.results.glob("*.json")] == [record.name]


def test_another_record_is_never_replaced(job, tmp_path):
    mine = mamlbench.perform(job.model_copy(update={"resume": None}))
    packed = mamlbench.pack_job(job.model_copy(update={"resume": None}))
    result, record = Elsewhere(tmp_path).perform(job, packed)
    assert record.name != mine.name and record.attempt == 2, "the worker knows which names are taken"
    assert mamlbench.unpack_result(job, packed, result).name == record.name
    assert len(list(job.folders.results.glob("*.json"))) == 2


@pytest.mark.parametrize("name", ["../outside", "/outside", "run/../../outside"])
def test_files_cannot_lead_out_of_the_folder(tmp_path, name):
    with pytest.raises(ConfigError, match="outside its run"):
        write_files(tmp_path / "results", {name: b""})
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b"])
def test_a_record_without_a_valid_name_is_refused(job, name):
    packed = mamlbench.pack_job(job)
    with pytest.raises(RunFailedError, match="without a valid name"):
        mamlbench.unpack_result(job, packed, PackedResult(f'{{"name": "{name}"}}'.encode()))


def test_plugin_files_are_sent_by_name(job, tmp_path):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / job.plugins[0].name
    twin.write_text("other = 1\n")
    with pytest.raises(ConfigError, match="rename one"):
        mamlbench.pack_job(job.model_copy(update={"plugins": (*job.plugins, twin)}))

"""The results folder on a full disk, read only, with any name, under a clock that jumps, and shared by two commands."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import ResultStore, read_record
from mamlbench.record.file_hashes import hashes_of_files, seals_of

RUN = [
    *("run", "--algo", "maml", "--dataset", "toy", "--plugin", "toy.py", "--ways", "3", "--queries", "2"),
    *("--iterations", "6", "--validate-every", "3", "--test-episodes", "10", "--validation-episodes", "6"),
    *("--meta-batch-size", "2", "-o", "backbone.width=8", "--engine", "vmap", "-q"),
]
MAIN = "import sys; from mamlbench.cli.main import main; sys.exit(main({!r}))"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, toy_plugin):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "toy.py").write_text(toy_plugin.read_text())
    return tmp_path


@contextmanager
def mounted(folder, *options):
    """Mount something at a folder, which takes an administrator of the machine or the container."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def result(folder):
    """The one run that has finished: its record, without names, times and environment, and the model."""
    (record,) = (record for record in ResultStore(folder).records() if record.status == "finished")
    names = {"name", "attempt", "model", "episodes", "started", "environment"}
    content = record.model_dump(mode="json", exclude={*names, "measurement", "curve", "engine", "listener_errors"})
    del content["training_data"]["file"]
    curve = [(point.iteration, point.loss, point.validation) for point in record.curve]
    return content, curve, (folder / record.model).with_suffix(".safetensors").read_bytes()


def check_whole(folder):
    """Every record is what was written, and so is every file that it names; return how many there are."""
    paths = ResultStore(folder).paths()
    for path in paths:
        assert len(set(seals_of(path))) == 1 and read_record(path).files == hashes_of_files(path.with_suffix(""))
    return len(paths)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, run_forked, toy_plugin):
    """What the run leaves behind where nothing is in its way."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "toy.py").write_text(toy_plugin.read_text())
    done = run_forked(MAIN.format(RUN), folder, MAMLBENCH_CACHE=str(folder / "cache"))
    assert done.returncode == ExitCode.OK, done.stderr
    return result(folder / "results")


def test_a_disk_that_becomes_full_loses_nothing_and_the_run_goes_on_when_there_is_space(project, call, expected):
    seen = set()
    for kilobytes in (24, 60, 80, 120):
        with mounted(project / "disk", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs") as disk:
            code, _, err = call(*RUN, "--results-dir", "disk/results")
            assert code in (ExitCode.OK, ExitCode.USAGE, ExitCode.RUN_FAILED)
            assert code == ExitCode.OK or "No space left on device" in err
            assert "bug" not in err and len(err.splitlines()) <= 4
            seen.add((code, check_whole(disk)))
            assert not list(disk.rglob("*.tmp"))
            subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
            code, _, err = call(*RUN, "--resume", "--results-dir", "disk/results")
            assert code == ExitCode.OK, err
            assert result(disk / "results") == expected, kilobytes
    refused, recorded, unrecorded = (ExitCode.USAGE, 0), (ExitCode.RUN_FAILED, 1), (ExitCode.RUN_FAILED, 0)
    assert seen >= {refused, recorded, unrecorded}


LIMITED = """
import resource, sys
from mamlbench.cli.main import main
from mamlbench.runner import train
begin, write = train.TrainingLoop.run, train.{function}
def limited(*arguments, **named):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        return write(*arguments, **named)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, ({after}, resource.RLIM_INFINITY))
train.{function} = limited
code = main({arguments!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # coverage writes now
sys.exit(code)
"""
UNWRITABLE = {
    "save_model": "The model could not be written to 'results/NAME/model.json' (File too large): free some space",
    "write_episodes": "What is kept of the test episodes could not be written to 'results/NAME/episodes.npz' (File too",
}


@pytest.mark.parametrize("record", [True, False], ids=["", "nor a record"])
@pytest.mark.parametrize("function", UNWRITABLE)
def test_what_cannot_be_written_is_one_sentence_and_the_run_goes_on(project, call, run_forked, function, record):
    """By the limit of the system on the size of files, which needs no rights."""
    many = ["1000" if word == "10" else word for word in RUN]  # so that the file of episodes is larger than the limit
    unlimited = "resource.RLIM_INFINITY"
    code = LIMITED.format(function=function, arguments=many, after=unlimited if record else 2000)
    done = run_forked(code, project, MAMLBENCH_CACHE=str(project / "cache"))
    assert done.returncode == ExitCode.RUN_FAILED and "Traceback" not in done.stderr
    (folder,) = (path for path in (project / "results").iterdir() if path.is_dir())
    sentence = UNWRITABLE[function].replace("NAME", folder.name)
    assert sentence in done.stderr
    assert check_whole(project / "results") == record
    if not record:
        lost = f"Error: Its record could not be written to 'results/{folder.name}.json' (File too large)"
        assert f"Error: The run has failed: {sentence[:40]}" in done.stderr and lost in done.stderr
    code, _, err = call(*many, "--resume")
    assert code == ExitCode.OK and check_whole(project / "results") == 1, err


def refusals(call, commands, folder):
    """Each command refuses the folder at once, in one sentence."""
    for command in commands:
        code, _, err = call(*command, "--results-dir", folder)
        assert code == ExitCode.USAGE, err
        lines = err.splitlines()
        assert lines[-1].startswith(f"Error: The results folder '{folder}' cannot be written (Read-only file system)")
        assert "choose another with --results-dir." in lines[-1] and len(lines) <= 2


@pytest.mark.parametrize("inner", ["", "/deeper/results"])
def test_a_folder_that_is_read_only_is_refused_before_data_are_looked_at(project, call, monkeypatch, inner):
    (project / "shared").mkdir()

    def load(*arguments, **named):
        raise AssertionError("hours of preparation and training")

    monkeypatch.setattr("mamlbench.runner.execute.load_dataset", load)
    with mounted(project / "shared", "--bind", "-o", "ro", project / "shared") as folder:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        refusals(call, [RUN, [*RUN, "--resume"]], f"{folder}{inner}")


def test_a_finished_run_in_a_folder_that_became_read_only_is_shown(project, call):
    assert call(*RUN, "--results-dir", "shared")[0] == ExitCode.OK
    with mounted(project / "shared", "--bind", project / "shared") as folder:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        code, _, err = call(*RUN[:-1], "--resume", "--results-dir", "shared")
        assert code == ExitCode.OK and "It is not run again" in err


def test_a_run_in_a_folder_that_became_read_only_is_not_continued(project, call):
    interrupts = ["interrupts" if word == "maml" else word for word in RUN]
    interrupts[interrupts.index("6")] = "20"
    code, out, _ = call(*interrupts, "--json", "--results-dir", "shared")
    (record,) = json.loads(out)
    assert code == ExitCode.INTERRUPTED and record["checkpoint"]
    with mounted(project / "shared", "--bind", project / "shared") as folder:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        code, _, err = call("resume", f"shared/{record['name']}.json", "--plugin", "toy.py")
        assert code == ExitCode.USAGE and "Error: The results folder 'shared' cannot be written (Read-only" in err
        code, _, err = call("merge", "shared", "--into", "shared/all")
        assert code == ExitCode.USAGE, err
        assert call("report", "shared")[0] == call("verify", "shared", "--plugin", "toy.py")[0] == ExitCode.OK
    assert check_whole(project / "shared") == 1


STRANGE = ["with space", "dots.in.it.json", "имя 名前 ünï", "[a]*?", "n" * 255, "new\nline", "100 %", "~", "a'b\"c"]


def test_a_results_folder_may_have_any_name(project, call, expected):
    first, *others = STRANGE
    code, _, err = call(*RUN, "--results-dir", first)
    assert code == ExitCode.OK and result(project / first) == expected, err
    for before, name in zip(STRANGE, others, strict=False):
        code, _, err = call("merge", before, "--into", f"inside/{name}")
        assert code == ExitCode.OK and check_whole(project / "inside" / name) == 1, err
        (project / "inside" / name).rename(project / name)
        (path,) = ResultStore(project / name).paths()
        for command in (["report", name], ["verify", str(path), "--plugin", "toy.py", "--episodes", "2"]):
            code, out, err = call(*command)
            assert code == ExitCode.OK and out, err
    code, _, err = call("resume", str(path), "--plugin", "toy.py")
    assert code == ExitCode.OK and "It is not run again" in err


def test_a_folder_whose_name_is_no_text_is_one_too(project, expected):
    """A name of bytes that no encoding explains, as Linux allows it."""
    command = [sys.executable, "-m", "mamlbench.cli", *RUN, "--results-dir", b"results\xff"]
    done = subprocess.run(command, cwd=project, capture_output=True, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    assert result(project / os.fsdecode(b"results\xff")) == expected


NAMES = """
import mamlbench
from toy import Toy, FOMAML

NAME = {name!r}

@mamlbench.hookimpl
def mamlbench_register_datasets(register):
    register(NAME, Toy)

@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register(NAME, FOMAML)
"""


@pytest.mark.parametrize("name", ["имя 名前 v1.2.json", "n" * 300, "../.hidden@x:y"])
def test_data_sets_and_methods_may_have_any_name(project, call, monkeypatch, name):
    monkeypatch.syspath_prepend(project)
    (project / "strange.py").write_text(NAMES.format(name=name))
    named = [{"maml": name, "toy": name, "toy.py": "strange.py"}.get(word, word) for word in RUN]
    code, _, err = call(*named)
    assert code == ExitCode.OK, err
    (path,) = (project / "results").glob("*.json")
    record = read_record(path)
    assert record.spec.algorithm.name == record.spec.dataset.name == name
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", path.stem) and (project / "results" / record.model).is_file()
    code, out, err = call("verify", str(path), "--plugin", "strange.py")
    assert code == ExitCode.OK and "all equal" in out, err
    code, _, err = call(*named, "--resume")
    assert code == ExitCode.OK and len(list((project / "results").glob("*.json"))) == 1, err


JUMPS = """
import random, sys, time
from datetime import datetime
from mamlbench.record import run_record

generator, real = random.Random(0), time.time
time.time = lambda: real() + generator.choice([-1, 1]) * generator.uniform(0, 2e9)
time.time_ns = lambda: int(1e9 * time.time())

class Jumping(datetime):
    @classmethod
    def now(cls, zone=None):
        return cls.fromtimestamp(time.time(), zone)

run_record.datetime = Jumping
from mamlbench.cli.main import main
sys.exit(main({!r}))
"""


def test_a_clock_that_jumps_by_years_changes_no_number_and_no_duration(project, expected, run_forked):
    done = run_forked(
        JUMPS.format([*RUN, "--checkpoint-seconds", "0"]), project, MAMLBENCH_CACHE=str(project / "cache")
    )
    assert done.returncode == ExitCode.OK, done.stderr
    content, curve, model = result(project / "results")
    (path,) = (project / "results").glob("*.json")
    record = read_record(path)
    assert (curve, model) == expected[1:] and content["test"] == expected[0]["test"]
    measured = record.measurement
    assert 0 < measured.wall_seconds < 600
    assert sum(segment.wall for segment in measured.segments.values()) == pytest.approx(measured.wall_seconds)
    times = [point.wall_seconds for point in record.curve]
    assert times == sorted(times) and times[0] > 0
    assert not list((project / "results").glob(".*")), "no claim and no temporary file is left"


def test_two_commands_of_one_spec_at_once_make_two_whole_runs(project, expected, fork):
    code = MAIN.format(RUN)
    cache = {"MAMLBENCH_CACHE": str(project / "cache")}
    with fork(code, project, **cache) as one, fork(code, project, **cache) as other:
        ends = [one.end(), other.end()]
    assert [end.returncode for end in ends] == [ExitCode.OK] * 2, [end.stderr for end in ends]
    assert check_whole(project / "results") == 2
    records = sorted(ResultStore(project / "results").records(), key=lambda record: record.attempt)
    assert [record.attempt for record in records] == [1, 2]
    assert [record.test.model_dump(mode="json") for record in records] == [expected[0]["test"]] * 2
    assert not list((project / "results").glob(".*"))

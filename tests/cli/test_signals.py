"""Signals at every moment of a command's life, sent to real processes: exit codes, records, and nothing else left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_record

SENDER = """
import os, signal
import mamlbench

with open("pids", "a") as file:
    file.write(f"{os.getpid()}\\n")

def at(event):
    if event == os.environ.get("AT"):
        os.environ["AT"] = ""
        for number in os.environ["SIGNALS"].split():
            os.kill(os.getpid(), int(number))

@mamlbench.hookimpl
def mamlbench_run_started(): at("started")

@mamlbench.hookimpl
def mamlbench_preparing(): at("preparing")

@mamlbench.hookimpl
def mamlbench_trying_engine(): at("engine")

@mamlbench.hookimpl
def mamlbench_progress(): at("progress")

@mamlbench.hookimpl
def mamlbench_evaluated(split): at(split)

@mamlbench.hookimpl
def mamlbench_run_finished(): at("finished")
"""
COMMAND = """
import signal, sys
from mamlbench import interrupts
# a process that a shell started in the background ignores Ctrl-C, and so do its children unless they change that
signal.signal(signal.SIGINT, signal.default_int_handler)
interrupts.OVERDUE_SECONDS = 0.3
sys.argv[1:] = {}
# forked workers need not import torch; users have spawned ones
from mamlbench_plugins.launchers import processes
processes._START_METHOD = {!r}
from mamlbench.cli.main import entry
entry()
"""
NUMBERS = {"--ways": 3, "--queries": 2, "--test-episodes": 20, "--validation-episodes": 10, "--meta-batch-size": 2}
TINY = [*(str(part) for pair in NUMBERS.items() for part in pair), "-o", "backbone.width=4"]
RUN = ["run", "--algo", "fomaml", "--dataset", "toy", "--iterations", "6", *TINY]
HANGS = """
import time
import mamlbench
from mamlbench_plugins.algorithms.fomaml import FOMAML

class Hangs(FOMAML):
    def apply(self, update):
        print("hangs", flush=True)
        time.sleep(600)

@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("hangs", Hangs)
"""


@pytest.fixture
def command(project, toy_plugin, run_forked, tmp_path):
    """Run a command that gets signals at an event of its run; it may leave nothing but its results."""
    project.write(sender=SENDER, hangs=HANGS)
    (project.path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}", "sender.py", "hangs.py"]')

    def command(*arguments, at="", signals=(), **environment):
        numbers = " ".join(str(int(number)) for number in signals)
        (temporary := tmp_path / "temporary").mkdir(exist_ok=True)
        code = COMMAND.format(list(arguments), "fork")
        done = run_forked(code, project.path, AT=at, SIGNALS=numbers, TMPDIR=str(temporary), **environment)
        assert "Traceback" not in done.stderr
        assert not [*project.path.rglob("*.tmp"), *temporary.iterdir()]
        assert not [pid for pid in pids(project) if is_running(pid)]
        return done

    return command


def pids(project):
    return set(map(int, (project.path / "pids").read_text().split())) if (project.path / "pids").exists() else set()


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


@BOTH
@pytest.mark.parametrize("event", ["started", "engine"])
def test_before_the_training_there_is_no_record(command, project, number, event):
    done = command(*RUN, at=event, signals=[number])
    assert done.returncode == ExitCode.INTERRUPTED and done.stderr.endswith("Interrupted.\n")
    assert not list((project.path / "results").glob("*"))


@BOTH
def test_the_preparation_of_data_is_interrupted(command, project, number):
    done = command("run", "--algo", "fomaml", "--dataset", "glyphs", *TINY, at="preparing", signals=[number])
    assert done.returncode == ExitCode.INTERRUPTED and done.stderr.endswith("Interrupted.\n")
    assert not list((project.path / "results").glob("*"))


@BOTH
@pytest.mark.parametrize("event", ["progress", "val"])
@pytest.mark.parametrize("seeds", ["1", "2"], ids=["alone", "in workers"])
def test_a_run_that_has_begun_leaves_its_record(command, project, number, event, seeds):
    iterations = ["--iterations", "100000", "--validate-every", "3"]
    done = command(*RUN, *iterations, "--seeds", seeds, at=event, signals=[number])
    assert done.returncode == ExitCode.INTERRUPTED and "interrupted" in done.stdout
    (record,) = project.records()
    assert record.status == "interrupted" and record.reason.startswith("at iteration ")


@BOTH
@pytest.mark.parametrize("event", ["test", "finished"])
def test_when_all_work_is_done_nothing_is_left_to_interrupt(command, project, number, event):
    done = command(*RUN, at=event, signals=[number])
    assert done.returncode == ExitCode.OK and "fomaml" in done.stdout
    assert [record.status for record in project.records()] == ["finished"]


@BOTH
def test_a_run_whose_work_is_done_has_finished_and_the_next_one_is_not_begun(command, project, number):
    done = command(*RUN, "--seeds", "2", at="test", signals=[number])
    assert done.returncode == ExitCode.INTERRUPTED and done.stderr.endswith("Interrupted.\n")
    assert [record.status for record in project.records()] == ["finished"]


@pytest.mark.parametrize("event", ["started", "engine", "progress", "val", "test"])
@pytest.mark.parametrize("seeds", ["1", "2"], ids=["alone", "in workers"])
def test_a_second_signal_ends_everything_at_once(command, project, event, seeds):
    iterations = "6" if event == "test" else "2000"
    done = command(*RUN, "--iterations", iterations, "--seeds", seeds, at=event, signals=[signal.SIGTERM] * 2)
    assert done.returncode == ExitCode.INTERRUPTED and done.stdout == ""
    assert not project.records() or seeds == "2", "a worker may have finished"


@pytest.mark.slow
def test_a_suite_is_interrupted_and_goes_on_afterwards(command, project):
    lines = ['algorithm = "fomaml"', 'dataset = "toy"', "seeds = 3", "ways = 3", "queries = 2", "test_episodes = 10"]
    lines += ["validation_episodes = 10", "meta_batch_size = 2", "iterations = 4", "options.backbone.width = 4"]
    (project.path / "study.toml").write_text("\n".join(lines))
    done = command("suite", "study.toml", at="progress", signals=[signal.SIGTERM])
    assert done.returncode == ExitCode.INTERRUPTED
    assert [record.status for record in project.records()] in (["interrupted"], ["finished"])
    assert command("suite", "study.toml").returncode == ExitCode.OK
    finished = [record.spec.seed for record in project.records() if record.status == "finished"]
    assert sorted(finished) == [0, 1, 2]


def test_a_method_that_hangs_is_interrupted(command, project, fork):
    arguments = ["run", "--algo", "hangs", "--dataset", "toy", "--engine", "loop", *TINY]
    with fork(COMMAND.format(arguments, "fork"), project.path) as process:
        while "hangs" not in process.out.read_text():
            assert process.process.is_alive()
            time.sleep(0.01)
        os.kill(process.process.pid, signal.SIGTERM)
        done = process.end()
    assert done.returncode == ExitCode.INTERRUPTED and "ending at the next safe point" in done.stderr
    assert [record.status for record in project.records()] == ["interrupted"]


@pytest.mark.slow
def test_the_death_of_the_parent_ends_its_workers_with_their_records(command, project, fork):
    endless = ["--iterations", "1000000", "--engine", "vmap"]  # the trial of engines would take as long as it may
    arguments = [*RUN, *endless, "--seeds", "2", "-o", "launcher.max_parallel=2"]
    with fork(COMMAND.format(arguments, "spawn"), project.path) as process:
        while len({path.parent for path in (project.path / "results").glob("*/checkpoint*.json")}) < 2:
            assert process.process.is_alive()
            time.sleep(0.01)
        os.kill(process.process.pid, signal.SIGKILL)
        end = time.monotonic() + 60
        while any(map(is_running, pids(project))):
            assert time.monotonic() < end
            time.sleep(0.01)
    records = [read_record(path) for path in (project.path / "results").glob("*.json")]
    assert [record.status for record in records] == ["interrupted"] * 2, [record.reason for record in records]
    assert not list(project.path.rglob("*.tmp"))


PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
{}
sys.argv[1:] = ["list", "metrics"]
from mamlbench.cli.__main__ import entry
entry()
"""
AT_IMPORT = """
class Finder:
    def find_spec(self, name, *rest):
        if name == "mamlbench.cli.main":
            signal.raise_signal(signal.SIGTERM)

sys.meta_path.insert(0, Finder())
"""
AT_EXIT = "import atexit; atexit.register(signal.raise_signal, signal.SIGTERM)"


def listing(folder, before=""):
    """``mamlbench list metrics`` in a process of its own, which imports no torch."""
    arguments = [sys.executable, "-P", "-c", PROGRAM.format(before)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=folder)


def test_a_signal_while_the_program_is_imported(tmp_path):
    done = listing(tmp_path, AT_IMPORT)
    assert done.returncode == ExitCode.INTERRUPTED and done.stderr == "Interrupted.\n"


def test_a_signal_while_the_process_ends_changes_nothing(tmp_path):
    done = listing(tmp_path, AT_EXIT)
    assert done.returncode == ExitCode.OK and done.stderr == "" and "accuracy" in done.stdout


def test_a_plugin_that_raises_an_interrupt_itself_is_broken(tmp_path):
    (tmp_path / "mamlbench.toml").write_text('plugins = ["mine.py"]')
    (tmp_path / "mine.py").write_text("raise KeyboardInterrupt")
    done = listing(tmp_path)
    assert done.returncode == ExitCode.OK and "accuracy" in done.stdout
    assert "Plugin 'mine'" in done.stderr and "KeyboardInterrupt (mine.py, line 1: raise Keyboard" in done.stderr

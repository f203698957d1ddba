"""Launchers through the real command line: chosen by name, with their options, for runs and suites."""

import json

import pytest

from mamlbench.errors import ExitCode

BACKWARDS = """
import mamlbench
from mamlbench.api import Launcher, Options
from pydantic import Field


class Backwards(Launcher):
    class Options(Options):
        greeting: str = Field("hello", description="what is printed before a run")

    def launch(self, jobs, emit):
        for job in reversed(jobs):
            print(self.options.greeting, job.spec.seed)
            try:
                outcome = mamlbench.perform(job, emit)
            except Exception as error:
                outcome = error
            yield job, outcome
            if getattr(outcome, "status", "") == "interrupted":
                return


@mamlbench.hookimpl
def mamlbench_register_launchers(register):
    register("backwards", Backwards, summary="the last one first, in this process")
"""
SMALL = [
    "--dataset",
    "toy",
    "--ways",
    "3",
    "--queries",
    "2",
    "--test-episodes",
    "10",
    "--validation-episodes",
    "10",
    "--meta-batch-size",
    "2",
    "--iterations",
    "2",
    "-o",
    "backbone.width=4",
]
SUITE = """
algorithm = "fomaml"
dataset = "toy"
ways = 3
queries = 2
test_episodes = 10
validation_episodes = 10
meta_batch_size = 2
iterations = 14
seeds = 2
options.backbone.width = 4
"""


@pytest.fixture(autouse=True)
def launcher_project(project, toy_plugin):
    """A project with a launcher of its own."""
    project.write(backwards=BACKWARDS)
    (project.path / "mamlbench.toml").write_text(f'plugins = ["backwards.py", "{toy_plugin}"]\n')
    (project.path / "study.toml").write_text(SUITE)


def seeds_as_run(project):
    return [record.spec.seed for record in project.records()]


def test_runs_go_through_the_launcher_that_is_named(project):
    run = ["run", "--algo", "fomaml", *SMALL, "--seeds", "2", "--json"]
    done = project.run(*run, "--launcher", "backwards", "-o", "launcher.greeting=good morning")
    greetings, _, rest = done.out.partition("[")
    assert greetings.split("\n")[:2] == ["good morning 1", "good morning 0"]
    assert [record["spec"]["seed"] for record in json.loads(f"[{rest}")] == [0, 1]
    assert seeds_as_run(project) == [1, 0]
    assert "Launcher 'backwards' gets 2 runs." in done.err
    assert "fomaml on toy, seed 1: preparing data" in done.err and "test " in done.err
    assert "seed 1: finished" not in done.err, "whose progress was shown"
    assert all("launcher" not in str(record.spec) for record in project.records()), "it is no part of what is run"
    assert all(record.measurement.peak_memory_bytes is None for record in project.records())


def test_the_end_of_a_run_is_shown_even_if_its_launcher_reports_no_events(project):
    project.write(backwards=BACKWARDS.replace("mamlbench.perform(job, emit)", "mamlbench.perform(job)"))
    done = project.run("run", "--algo", "fomaml", *SMALL, "--launcher", "backwards")
    assert "fomaml on toy, seed 0: finished" in done.err and "step" not in done.err
    suite = project.run("suite", "study.toml", "--launcher", "backwards").err
    assert suite.count("fomaml on toy, seed 0: finished") == 1


def test_a_suite_uses_it_and_is_resumed_with_another(project):
    suite = ["suite", "study.toml"]
    done = project.run(*suite, "--launcher", "backwards", "--set", "algorithm=interrupts", expect=ExitCode.INTERRUPTED)
    assert "2/2 interrupts on toy, seed 1: interrupted" in done.err and "1 more run(s) were not started" in done.err
    done = project.run(*suite, "--launcher", "backwards")
    assert "2/2 fomaml on toy, seed 1: finished in" in done.err and "1/2 fomaml on toy, seed 0: finished in" in done.err
    assert "2 cells (2 finished)" in project.run(*suite, "-o", "launcher.max_parallel=2").err
    done = project.run(*suite, "--launcher", "backwards", "--set", "ways=99", expect=ExitCode.RUN_FAILED)
    assert done.err.count("not started: ") == 3, "each cell as it ends, and both once more below the table"


def test_parallel_runs_are_marked_in_record_and_table(project):
    done = project.run("run", "--algo", "fomaml", *SMALL, "--seeds", "2", "-o", "launcher.max_parallel=2")
    records = project.records()
    assert [record.measurement.runs_at_once for record in records] == [2, 2]
    assert all(record.measurement.peak_memory_bytes > 10_000_000 for record in records)
    assert "up to 2 runs at a time" in " ".join(done.out.split())
    project.run("run", "--algo", "maml", *SMALL)
    shown = " ".join(project.run("report").out.split())
    assert "not comparable with the other rows: different runs at once" in shown


def test_it_is_listed_and_explained(project):
    listed = project.run("list", "launchers").out
    assert "processes" in listed and "backwards" in listed and "the last one first" in listed
    shown = project.run("info", "backwards").out
    assert "launcher.greeting" in shown and "what is printed before a run" in shown
    provided = {report["name"]: report["provides"] for report in project.run("plugins", "--json").json()}
    assert provided["backwards"] == ["launcher backwards"]
    assert sum("launcher processes" in names for names in provided.values()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--algo", "fomaml", "--launcher", "backward"], "launcher 'backward'. Did you mean 'backwards'?"),
        (["run", "--algo", "fomaml", "-o", "launcher.atonce=2"], "launcher 'processes' has no option 'atonce'."),
        (
            ["suite", "study.toml", "-o", "launcher.max_parallel=0"],
            "option 'launcher.max_parallel': input should be greater",
        ),
        (["suite", "study.toml", "-o", "backbone.width=3"], "use --set options.NAME=VALUE"),
        (
            ["suite", "study.toml", "-o", "launcher"],
            "takes NAME=VALUE, as in -o launcher.max_parallel=2, not 'launcher'.",
        ),
    ],
)
def test_mistakes_are_reported_before_anything_is_run(project, arguments, message):
    done = project.run(*arguments, expect=ExitCode.USAGE)
    assert message in " ".join(done.err.split()) and not (project.path / "results").exists()


def test_the_table_grows_with_every_cell(project):
    shown = project.run("suite", "study.toml", "--set", "iterations=2", "--watch")
    growing = shown.err[shown.err.index("seed 0: finished") : shown.err.index("seed 1: finished")]
    assert "toy, 3-way" in growing and "fomaml" in growing, "of the first cell, while the second is at work"
    assert shown.err.count("toy, 3-way") == 1 and shown.out.count("toy, 3-way") == 1
    assert "leave out one" in project.run("suite", "study.toml", "--watch", "-q", expect=ExitCode.USAGE).err

"""The page on hooks names every hook with its arguments, in the order in which a real run calls them."""

import inspect
import re
from itertools import groupby
from pathlib import Path

import pytest

from mamlbench.plugin import PROJECT
from mamlbench.plugin import hookspecs as hooks

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
HOOKS = {name: hook for name, hook in vars(hooks).items() if name.startswith(f"{PROJECT}_")}
DOCUMENTED = re.findall(r"^\d+\. `(\w+)\(([\w, ]+)\)`", PAGE, re.MULTILINE)
LOADING, EVENTS = (re.findall(r"^\d+\. `(\w+)\(", part, re.MULTILINE) for part in PAGE.split("## During a run"))

LOG = "calls.txt"
PREAMBLE = """
from pathlib import Path

import mamlbench
from mamlbench_plugins.datasets.sinusoid import Sinusoid


class PreparedWaves(Sinusoid):
    \"\"\"Sine waves that take some preparation.\"\"\"

    def load(self):
        self.paths.progress("waves", 1, 2)
        return super().load()


def note(call):
    with Path(__file__).with_name("calls.txt").open("a") as log:
        log.write(f"{call}\\n")
"""
"""A data set that has something to prepare, whatever the cache holds; and a function that records a call."""


def recorder(folder):
    """A plugin that implements every hook and records which was called."""
    lines = [PREAMBLE]
    for name, hook in HOOKS.items():
        first = next(iter(inspect.signature(hook).parameters))
        arguments = ", ".join(inspect.signature(hook).parameters)
        register = f"{first}('prepared-waves', PreparedWaves)" if name.endswith("register_datasets") else "pass"
        call = f"f'{name} {{split}}'" if "split" in arguments else f"'{name}'"
        lines.append(f"@mamlbench.hookimpl\ndef {name}({arguments}):\n    note({call})\n    {register}\n")
    (folder / "recorder.py").write_text("\n\n".join(lines))


@pytest.fixture
def calls(project):
    """``calls(*arguments)``: what one command calls, in order."""
    recorder(project.path)
    (project.path / "mamlbench.toml").write_text('plugins = ["recorder.py"]\n')

    def calls(*arguments):
        (project.path / LOG).unlink(missing_ok=True)
        project.run(*arguments)
        return (project.path / LOG).read_text().splitlines()

    return calls


def test_every_hook_is_documented_with_its_arguments():
    assert dict(DOCUMENTED) == {name: ", ".join(inspect.signature(hook).parameters) for name, hook in HOOKS.items()}
    assert len(DOCUMENTED) == len(HOOKS)


def test_plugins_are_loaded_in_the_documented_order(calls):
    made = calls("--help")
    assert [name for name, _ in groupby(made)] == LOADING


def test_a_run_calls_its_hooks_in_the_documented_order(calls):
    options = "--shots 2 --queries 2 --iterations 6 --meta-batch-size 2 --test-episodes 4 --validation-episodes 4"
    command = ["run", "--algo", "maml", "--dataset", "prepared-waves", *options.split(), "-q"]
    made = calls(*command)
    assert made[: len(LOADING) - 1] == LOADING[:-1]
    events = made[len(LOADING) - 1 :]
    assert list(dict.fromkeys(event.split()[0] for event in events)) == [
        name for name in EVENTS if name != "mamlbench_notice"
    ]
    assert events[0] == "mamlbench_run_started" and events.count(events[0]) == 1
    assert events[-1] == "mamlbench_run_finished" and events.count(events[-1]) == 1
    assert events[-2] == "mamlbench_evaluated test" and events.count(events[-2]) == 1
    validations = [number for number, event in enumerate(events) if event == "mamlbench_evaluated val"]
    assert len(validations) > 1
    assert all(events[number - 1] == "mamlbench_progress" for number in validations)
    assert calls(*command, "--resume")[len(LOADING) - 1 :] == [EVENTS[0], "mamlbench_notice", EVENTS[-1]]

"""``mamlbench check`` on the command line, and the results of single checks."""

import pytest

from mamlbench.errors import ConfigError, DataError, ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.testing import CHECKS, AlgorithmSubject, Check, NotApplicable, ensure

PICKY = """
import mamlbench
from mamlbench.api import Options, TaskSampler


class Picky(TaskSampler):
    class Options(Options):
        repeats: int = 1

    def key_index(self, split, index):
        raise ValueError(f"repeats is {self.options.repeats}")


@mamlbench.hookimpl
def mamlbench_register_samplers(register):
    register("picky", Picky)
"""

BROKEN = """
import mamlbench
from mamlbench_plugins.algorithms.fomaml import FOMAML


class Broken(FOMAML):
    "First-order MAML that declares second order."

    gradient_order = 2

    def compute_update(self, batch):
        self.gradient_order = 1
        return super().compute_update(batch)


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("broken", Broken)
"""

RECURRENT = """
import mamlbench
import torch
from torch import nn
from mamlbench.api import Backbone, ConfigError


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.from_input, self.from_state = nn.Linear(1, 4), nn.Linear(4, 4, bias=False)

    def forward(self, x):  # [n, length]
        state = x.new_zeros(len(x), 4)
        for step in range(x.shape[1]):
            state = torch.tanh(self.from_input(x[:, step, None]) + self.from_state(state))
        return state


class Recurrent(Backbone):
    "A recurrent network; a sequence of one never uses its state."

    example_shapes = ((5,),)

    def features(self, input_shape):
        if len(input_shape) != 1:
            raise ConfigError("A sequence is needed.")
        return Cell(), 4


@mamlbench.hookimpl
def mamlbench_register_backbones(register):
    register("recurrent", Recurrent)
"""


def test_a_sound_plugin_passes(project):
    done = project.run("check", "fresh")
    assert "sampler fresh (from mamlbench)" in done.out and "0 failed" in done.out


def test_a_failed_check_has_a_hint_and_exits_with_1(project):
    project.write(broken=BROKEN)
    done = project.run("check", "broken.py", expect=ExitCode.REGRESSION)
    assert "1 failed" in done.out and "gradient_order is 2" in done.out and "Hint: Declare the order" in done.out
    (report,) = project.run("check", "broken.py", "--json", expect=ExitCode.REGRESSION).json()
    (failed,) = [result for result in report["results"] if result["status"] == "failed"]
    assert failed["check"] == "gradient order is correct" and failed["hint"]


def test_an_error_that_breaks_everything_is_one_failure(project):
    project.write(broken=BROKEN.replace("    gradient_order = 2\n", "    step = None\n"))
    done = project.run("check", "broken.py", "--json", expect=ExitCode.REGRESSION)
    results = done.json()[0]["results"]
    (failed,) = [result for result in results if result["status"] == "failed"]
    assert failed["check"] == "can be built and run"
    after = results[results.index(failed) + 1 :]
    assert len(after) > 15 and {result["message"] for result in after} == {"needs 'can be built and run' to pass"}


def test_a_network_of_sequences_names_an_example_shape(project):
    project.write(recurrent=RECURRENT)
    assert "0 failed" in project.run("check", "recurrent.py").out
    project.write(recurrent=RECURRENT.replace("example_shapes = ((5,),)", ""))
    done = project.run("check", "recurrent.py", expect=ExitCode.REGRESSION)
    assert "no effect on the outputs: features.from_state.weight" in " ".join(done.out.split())


def test_options_are_passed_to_the_plugin(project):
    project.write(picky=PICKY)
    for value, message in ((3, "repeats is 3"), (4, "repeats is 4")):
        done = project.run("check", "picky.py", "-o", f"sampler.repeats={value}", "--json", expect=ExitCode.REGRESSION)
        assert any(message in result["message"] for result in done.json()[0]["results"])
    assert "has no option 'inner_rate'" in project.run("check", "maml", "-o", "inner_rate=1", expect=ExitCode.USAGE).err


def test_the_declaration_of_an_instance_decides():
    reptile = load_plugins().registry.load("algorithm", "reptile")
    (check,) = [check for check in CHECKS["algorithm"] if check.name == "half batches add up"]
    assert check(AlgorithmSubject(reptile)).status == "passed"
    persistent = check(AlgorithmSubject(reptile, inner_optimizer_state="persistent"))
    assert (persistent.status, persistent.message) == ("skipped", "declares additive = False")


def test_a_missing_data_set_does_not_pass(project):
    done = project.run("check", "miniimagenet", expect=ExitCode.NOTHING)
    assert "no data" in done.out and "as above" in done.out


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["mml"], ExitCode.USAGE, "Nothing is called 'mml'. Did you mean 'maml'?"),
        ([], ExitCode.USAGE, "Name a plugin or a file to check, or use --all."),
        (["maml", "--all"], ExitCode.USAGE, "Name a plugin or a file to check, or use --all."),
        (["--all", "-o", "a=b"], ExitCode.USAGE, "not with --all"),
        (["nowhere.py"], ExitCode.USAGE, "no plugin file"),
        (["empty.py"], ExitCode.NOTHING, "registers no algorithm"),
    ],
)
def test_usage_errors(project, arguments, code, message):
    project.write(empty="")
    assert message in project.run("check", *arguments, expect=code).err


def raising(error):
    def requirement(subject):
        """Something is required,
        over two lines.

        And explained."""
        if error is not None:
            raise error

    return Check(requirement, "Fix it.")


@pytest.mark.parametrize(
    "error, status, message",
    [
        (None, "passed", ""),
        (NotApplicable("not mine"), "skipped", "not mine"),
        (DataError("Not here."), "skipped", "no data: Not here."),
        (ConfigError("Bad."), "failed", "ConfigError: Bad. ("),
        (ZeroDivisionError("by zero"), "failed", "ZeroDivisionError: by zero ("),
    ],
)
def test_every_error_gives_a_result(error, status, message):
    result = raising(error)(None)
    assert result.status == status and result.message.startswith(message)
    assert result.requirement == "Something is required, over two lines."
    assert result.hint == ("Fix it." if status == "failed" else "")


def test_in_a_plugins_own_tests_a_check_fails_or_skips():
    with pytest.raises(AssertionError, match=r"(?s)Something is required.*KeyError.*Hint: Fix it"):
        raising(KeyError("x")).require(None)
    with pytest.raises(NotApplicable, match="not mine"):
        raising(NotApplicable("not mine")).require(None)
    raising(None).require(None)
    with pytest.raises(AssertionError, match="odd"):
        ensure(False, "odd")


def test_the_project_fixture_reports_the_output(project):
    with pytest.raises(AssertionError, match=r"(?s)mamlbench info mml.*Did you mean 'maml'.*USAGE"):
        project.run("info", "mml")


def test_hash_is_refused_in_the_modules_of_plugins_alone():
    """A thread that draws a progress bar calls it in typing meanwhile."""
    import typing

    from mamlbench.testing.algorithm_leaks import _hash_refused
    from mamlbench_plugins.algorithms import maml

    with _hash_refused(maml.MAML):
        assert "hash" in vars(maml) and "hash" not in vars(typing)
    assert "hash" not in vars(maml)

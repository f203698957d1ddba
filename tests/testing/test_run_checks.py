"""``mamlbench check`` as a user meets it, and the outcomes that its table is made of."""

import pytest

from mamlbench.errors import ConfigError, DataError, ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.testing import CHECKS, AlgorithmSubject, Check, NotApplicable, demand

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
    "First-order MAML that says second order."

    gradient_order = 2

    def compute_update(self, batch):
        self.gradient_order = 1
        return super().compute_update(batch)


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("broken", Broken)
"""


def test_a_sound_plugin_passes(project):
    done = project.run("check", "fresh")
    assert "sampler fresh (from mamlbench)" in done.out and "0 failed" in done.out


def test_a_broken_promise_is_found_with_a_hint_and_exits_with_1(project):
    project.write(broken=BROKEN)
    done = project.run("check", "broken.py", expect=ExitCode.REGRESSION)
    assert "1 failed" in done.out and "gradient_order is 2" in done.out and "Hint: Declare the order" in done.out
    (report,) = project.run("check", "broken.py", "--json", expect=ExitCode.REGRESSION).json()
    (failed,) = [each for each in report["outcomes"] if each["status"] == "failed"]
    assert failed["check"] == "order of the gradient is true" and failed["hint"]


def test_options_reach_what_is_checked(project):
    project.write(picky=PICKY)
    for value, found in ((3, "repeats is 3"), (4, "repeats is 4")):
        done = project.run("check", "picky.py", "-o", f"sampler.repeats={value}", "--json", expect=ExitCode.REGRESSION)
        assert any(found in each["found"] for each in done.json()[0]["outcomes"])
    assert "has no option 'inner_rate'" in project.run("check", "maml", "-o", "inner_rate=1", expect=ExitCode.USAGE).err


def test_what_an_instance_declares_counts():
    reptile = load_plugins().registry.load("algorithm", "reptile")
    (check,) = [each for each in CHECKS["algorithm"] if each.name == "halves add up"]
    assert check(AlgorithmSubject(reptile)).status == "passed"
    persistent = check(AlgorithmSubject(reptile, inner_optimizer_state="persistent"))
    assert (persistent.status, persistent.found) == ("skipped", "declares additive = False")


def test_a_data_set_that_is_not_here_is_no_pass(project):
    done = project.run("check", "miniimagenet", expect=ExitCode.NOTHING)
    assert "no data" in done.out and "as above" in done.out


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["mml"], ExitCode.USAGE, "Nothing is called 'mml'. Did you mean 'maml'?"),
        ([], ExitCode.USAGE, "a name, a file, or --all"),
        (["maml", "--all"], ExitCode.USAGE, "a name, a file, or --all"),
        (["--all", "-o", "a=b"], ExitCode.USAGE, "not with --all"),
        (["nowhere.py"], ExitCode.USAGE, "no plugin file"),
        (["empty.py"], ExitCode.NOTHING, "registers no algorithm"),
    ],
)
def test_what_cannot_be_checked_is_said(project, arguments, code, said):
    project.write(empty="")
    assert said in project.run("check", *arguments, expect=code).err


def raising(error):
    def promise(subject):
        """Something is promised,
        over two lines.

        And explained."""
        if error is not None:
            raise error

    return Check(promise, "Mend it.")


@pytest.mark.parametrize(
    "error, status, found",
    [
        (None, "passed", ""),
        (NotApplicable("none of mine"), "skipped", "none of mine"),
        (DataError("Not here."), "skipped", "no data: Not here."),
        (ConfigError("Bad."), "failed", "ConfigError: Bad. ("),
        (ZeroDivisionError("by zero"), "failed", "ZeroDivisionError: by zero ("),
    ],
)
def test_every_end_of_a_check_is_an_outcome(error, status, found):
    outcome = raising(error)(None)
    assert outcome.status == status and outcome.found.startswith(found)
    assert outcome.promise == "Something is promised, over two lines."
    assert outcome.hint == ("Mend it." if status == "failed" else "")


def test_in_a_plugins_own_tests_a_check_fails_or_skips():
    with pytest.raises(AssertionError, match=r"(?s)Something is promised.*KeyError.*Hint: Mend it"):
        raising(KeyError("x")).require(None)
    with pytest.raises(NotApplicable, match="none of mine"):
        raising(NotApplicable("none of mine")).require(None)
    raising(None).require(None)
    with pytest.raises(AssertionError, match="odd"):
        demand(False, "odd")


def test_the_project_fixture_says_what_it_saw(project):
    with pytest.raises(AssertionError, match=r"(?s)mamlbench info mml.*Did you mean 'maml'.*USAGE"):
        project.run("info", "mml")

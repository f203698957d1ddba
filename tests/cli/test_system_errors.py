"""A full disk or a name that is too long is no bug of the program: one sentence, with what to do."""

import errno
import os

import pytest

from mamlbench.cli.system_errors import _REMEDIES, explain_system_error
from mamlbench.errors import ExitCode

LONG = "n" * 300
COMMANDS = [
    *(["report", LONG], ["verify", LONG], ["merge", LONG, LONG], ["resume", LONG], ["compare", LONG, LONG]),
    *(["evaluate", LONG], ["suite", LONG], ["check", f"{LONG}.py"], ["report", "--format", "md", "--output", LONG]),
    *(["data", "list", "--data-dir", LONG], ["run", "--algo", "maml", "--plugin", f"{LONG}.py"]),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_name_that_no_file_can_have_is_a_usage_error(tmp_path, monkeypatch, call, command):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(*command)
    assert code == ExitCode.USAGE if "--format" not in command else code in (ExitCode.USAGE, ExitCode.NOTHING)
    assert "This is a bug" not in err and "Error" in err and len(err.splitlines()) <= 4


@pytest.mark.parametrize("number", _REMEDIES)
def test_what_to_do_is_named(number):
    error = OSError(number, os.strerror(number), "some\x1bfile")
    sentence = explain_system_error(error)
    assert sentence == f"{os.strerror(number)}: 'some\\x1bfile'; {_REMEDIES[number]}."
    assert explain_system_error(OSError(number, "words")) == f"words; {_REMEDIES[number]}."


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOENT, "x"), OSError("no number"), ValueError("x"), KeyboardInterrupt()]
)
def test_other_errors_are_explained_elsewhere(error):
    assert explain_system_error(error) is None


@pytest.mark.parametrize("place", [".", "/", "..", ""])
def test_a_place_without_a_name_holds_no_run(tmp_path, monkeypatch, call, place):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    code, _, err = call("resume", place)
    assert code == ExitCode.USAGE and "There is no run at " in err
    code, _, err = call("verify", "../inner" if place == "/" else place)
    assert code == ExitCode.NOTHING and "There is no record in " in err

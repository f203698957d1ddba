"""A closed or full stdout changes no exit code that matters, and ends without a traceback."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mamlbench.cli.standard_streams import GuardedStream, exit_code
from mamlbench.errors import ExitCode

FULL = pytest.param("{} > /dev/full", "No space left on device", id="full")
LEFT = pytest.param("{} | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}", "", id="reader left")
CLOSED = pytest.param("{} >&-", "", id="closed")
ALL_CLOSED = pytest.param("{} <&- >&- 2>&-", "", id="all closed")
linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


def shell(template, *arguments):
    command = " ".join([sys.executable, "-P", "-m", "mamlbench.cli", *arguments])
    return subprocess.run(["bash", "-c", template.format(command)], capture_output=True, text=True, check=False)


@linux
@pytest.mark.parametrize(("template", "message"), [FULL, LEFT, CLOSED, ALL_CLOSED])
@pytest.mark.parametrize(("arguments", "code"), [("list", 0), ("report nowhere", 4)])
def test_exit_codes(template, message, arguments, code):
    done = shell(template, *arguments.split())
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    lost = message and code == 0  # what a failed command writes goes to stderr
    assert done.returncode == (ExitCode.USAGE if lost else code)
    assert (message in done.stderr) if lost else ("cannot be written" not in done.stderr)


@pytest.mark.parametrize(
    "arguments", ["info maml", "info reptile", "list", "published omniglot", "data list", "--help"]
)
def test_characters_that_an_encoding_lacks_are_replaced(arguments):
    """As on a console of Windows, or with output redirected there."""
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-P", "-m", "mamlbench.cli", *arguments.split()]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == ExitCode.OK and not done.stderr, done.stderr.decode("cp1252")
    assert len(done.stdout.decode("cp1252")) > 100


@linux
def test_a_full_stderr_changes_nothing():
    done = shell("{} 2> /dev/full", "report", "nowhere")
    assert done.returncode == ExitCode.USAGE


class Failing(io.StringIO):
    def __init__(self, error, fileno):
        super().__init__()
        self.error, self._fileno = error, fileno

    def write(self, text):
        raise self.error

    def fileno(self):
        return self._fileno


@pytest.fixture
def guarded(tmp_path):
    def make(number):
        stream = (tmp_path / "stream").open("w")
        return GuardedStream(Failing(OSError(number, "broken"), stream.fileno())), stream

    made = []
    yield lambda number: made.append(make(number)) or made[-1][0]
    for _, stream in made:
        stream.close()


@pytest.mark.parametrize(
    ("number", "code", "expected"),
    [(errno.EPIPE, 0, 0), (errno.EPIPE, 1, 1), (errno.ENOSPC, 0, 4), (errno.ENOSPC, 1, 1), (errno.EIO, 2, 2)],
)
def test_a_gate_that_failed_has_failed_and_half_a_table_is_an_error(guarded, capsys, number, code, expected):
    stream = guarded(number)
    assert stream.write("text") == 4 and stream.write("more") == 4
    stream.writelines(["a", "b"])
    assert exit_code(code, stream) == expected
    assert ("cannot be written" in capsys.readouterr().err) == (number != errno.EPIPE)


def test_what_can_be_written_is_written():
    stream = io.StringIO()
    guarded = GuardedStream(stream)
    guarded.writelines(["a", "b"])
    guarded.flush()
    assert stream.getvalue() == "ab" and exit_code(3, guarded) == 3 and not guarded.isatty()

"""``mamlbench serve``, through the real command line."""

import os
import signal
import socket
import time
import urllib.request
import webbrowser

import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.record import ResultStore
from mamlbench.report.page.page_server import PageServer

COMMAND = """
import signal, sys
# a process that a shell started in the background ignores Ctrl-C, and so do its children unless they change that
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[1:] = ["serve", "--port", "0", "--title", "Spring"]
from mamlbench.cli.main import entry
entry()
"""


def address(process):
    """The address that the command prints."""
    for _ in range(3000):
        text = process.out.read_text() if process.out.exists() else ""
        if "; Ctrl-C" in text:
            return text.split(" at ")[1].split(";")[0]
        time.sleep(0.01)
    return pytest.fail(process.err.read())


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_page_is_served_until_ctrl_c(tmp_path, fork, make_failed, number):
    with fork(COMMAND, tmp_path) as process:
        url = address(process)
        with urllib.request.urlopen(url) as response:
            assert "There is no record yet" in response.read().decode()
        make_failed(tmp_path / "results")
        before = (tmp_path / "results").stat().st_mtime_ns
        for _ in range(300):  # it looks at the files once a second
            with urllib.request.urlopen(url) as response:
                page = response.read().decode()
            if "disk full" in page:
                break
            time.sleep(0.01)
        assert "disk full" in page and "<h1>Spring</h1>" in page
        assert (tmp_path / "results").stat().st_mtime_ns == before  # nothing was written
        os.kill(process.process.pid, number)
        done = process.end()
    assert (done.returncode, done.stderr) == (ExitCode.OK, "Ended.\n")


@pytest.fixture
def make_failed():
    """Write the record of a failed run."""
    from mamlbench.record import Environment, make_record
    from mamlbench.run_spec import Component, Protocol, RunSpec, Training

    def make(folder):
        parts = {kind: Component(name=kind) for kind in ("algorithm", "dataset", "backbone", "sampler")}
        training = Training(iterations=1, meta_batch_size=1, ways=5, shots=1, queries=1, validate_every=1)
        spec = RunSpec(**parts, protocol=Protocol(), training=training, preset="quick")
        environment = Environment(python="3", platform="", cpu="", cores=1, threads=1, packages={}, code_hash="0" * 16)
        folder.mkdir()
        record = make_record(spec, environment, "failed", started="2026-01-01T00:00:00+00:00", reason="disk full")
        ResultStore(folder).write("one", record)

    return make


def test_a_taken_port_and_other_mistakes_are_one_sentence(tmp_path, monkeypatch, capsys, make_failed):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == ExitCode.USAGE
    assert "choose another with --port" in capsys.readouterr().err
    assert main(["serve", "missing"]) == ExitCode.USAGE
    assert "'missing' does not exist" in capsys.readouterr().err
    make_failed(tmp_path / "results")
    assert main(["serve", "--port", "0", "--columns", "nonsense"]) == ExitCode.USAGE
    assert "There is no column 'nonsense'" in capsys.readouterr().err


def test_the_browser_is_opened_if_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(PageServer, "serve_forever", lambda self: None)
    assert main(["serve", "--port", "0", "--open"]) == ExitCode.OK
    assert opened[0].startswith("http://127.0.0.1:") and opened[0] in capsys.readouterr().out

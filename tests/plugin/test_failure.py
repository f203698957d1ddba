"""A broken plugin is named in one sentence with its source line; a slow one is named, a hanging one is ended."""

import importlib
import logging
import re
import signal
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import LONGEST_MESSAGE, ConfigError, describe_error, one_line
from mamlbench.plugin import Entry, load_plugins, time_limit
from mamlbench.plugin.failure import code_of_name, explain_failure

HANGS = "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass\n"
LISTENER = "import mamlbench\n@mamlbench.hookimpl\ndef mamlbench_progress(step):\n    {body}\n"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load one single-file plugin with this text; give the plugins and its report."""
    monkeypatch.chdir(tmp_path)

    def load(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        loaded = load_plugins([path], strict=False)
        return loaded, loaded.reports[-1]

    return load


@given(st.text())
def test_text_from_outside_becomes_one_printable_line(text):
    line = one_line(text)
    assert line.isprintable() and len(line) <= LONGEST_MESSAGE + len("... (cut)")
    assert line == text or not (text.isprintable() and text == " ".join(text.split())) or len(text) > LONGEST_MESSAGE


def test_control_characters_line_breaks_and_floods_are_tamed():
    assert one_line("two\nlines\tof \x1b[31mred\u202etext") == r"two lines of \x1b[31mred\u202etext"
    assert one_line("a" * 200_000) == "a" * LONGEST_MESSAGE + "... (cut)"


def test_an_exception_whose_message_raises_is_described():
    class MuteError(Exception):
        def __str__(self):
            raise TypeError

    assert describe_error(MuteError()) == "MuteError: (its message cannot be shown: __str__ raised TypeError)"
    assert describe_error(ValueError()) == "ValueError"


CASES = {
    "syntax": ("import os\ndef (:\n", "SyntaxError: invalid syntax (mine.py, line 2: def (:)"),
    "indentation": ("if True:\npass", "line 2: pass)"),
    "import": ("import os\nimport no_such_module_here\n", "(mine.py, line 2: import no_such_module_here)"),
    "exits": ("import sys\nsys.exit(0)\n", "SystemExit: 0 (mine.py, line 2: sys.exit(0))"),
    "BaseException": (
        "class Stop(BaseException): ...\nraise Stop('x')\n",
        "Stop: x (mine.py, line 2: raise Stop('x'))",
    ),
    "in a library": ("import json\njson.loads('{')\n", "(mine.py, line 2: json.loads('{'))"),
    "null byte": ("x = 1\x00", "source code string cannot contain null bytes"),
    "forged lines": (
        "raise OSError('a\\nWarning: \\x1b[2Jb')",
        r"OSError: a Warning: \x1b[2Jb (mine.py, line 1: raise",
    ),
    "hook": (
        "import mamlbench\n@mamlbench.hookimpl\ndef mamlbench_register_algorithms(register):\n    raise SystemExit\n",
        "SystemExit (mine.py, line 4: raise SystemExit)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plugin_that_cannot_be_loaded_is_named_with_its_source_line(load, case):
    text, error = CASES[case]
    loaded, report = load(text)
    assert error in report.error and report.error.isprintable()
    assert loaded.failures == [f"Plugin 'mine' ({report.origin}) is left out: {report.error}"]
    assert "maml" in loaded.registry.names("algorithm") and loaded.files == ()


def test_the_line_of_the_plugin_is_named_not_the_harness(load):
    _, report = load(
        "import mamlbench\n@mamlbench.hookimpl\ndef mamlbench_register_suites(register):\n    register()\n"
    )
    assert re.search(r"^TypeError: .* \(mine.py, line 4: register\(\)\)$", report.error)


def test_a_target_that_exits_when_imported_is_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "quits_at_import.py").write_text("import sys\nsys.exit('no license')\n")
    importlib.invalidate_caches()
    entry = Entry("algorithm", "quits", "quits_at_import:Quits", "", "quits-dist")
    with pytest.raises(
        ConfigError, match=r"algorithm 'quits' \(quits-dist\) cannot be imported: SystemExit: no license"
    ):
        entry.load()
    assert code_of_name("no_such_package_here.part:Class") == []


def test_without_a_line_outside_the_harness_only_the_error_is_named():
    assert explain_failure(ValueError("x")) == "ValueError: x"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")
def test_a_plugin_that_hangs_is_ended_and_named(load, monkeypatch, caplog):
    monkeypatch.setenv(time_limit.VARIABLE, "0.05")
    monkeypatch.setattr(time_limit, "NOTICE_SECONDS", 0.01)
    before = signal.getsignal(signal.SIGALRM)
    loaded, report = load(HANGS)
    assert re.search(r"takes longer than 0.05 seconds; MAMLBENCH_PLUGIN_SECONDS .* \(mine.py, line \d", report.error)
    assert "Still loading plugin 'mine'" in caplog.text
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert "maml" in loaded.registry.names("algorithm")


def test_the_limit_can_be_set_and_lifted(monkeypatch):
    limits = []
    for value in ("0", "3", "nonsense"):
        monkeypatch.setenv(time_limit.VARIABLE, value)
        limits.append(time_limit.plugin_limit())
    assert limits == [0, 3, time_limit.LIMIT_SECONDS]
    monkeypatch.setenv(time_limit.VARIABLE, "0")
    with time_limit.watched("anything"):
        assert not hasattr(signal, "setitimer") or signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_quick_plugin_is_not_named(load, caplog):
    with caplog.at_level(logging.WARNING, "mamlbench"):
        load("")
    assert caplog.text == ""


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "raise BaseException('x')", "1 / 0"])
def test_a_listener_may_raise_anything(load, body):
    loaded, _ = load(LISTENER.format(body=body))
    (error,) = loaded.notify("mamlbench_progress", spec=None, step=1, metrics={})
    assert "mamlbench_progress: " in error and f"(mine.py, line 4: {body})" in error
    assert len(list(loaded.notify("mamlbench_progress", spec=None, step=2, metrics={}))) == 1, "it is called again"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")
def test_a_listener_that_hangs_is_ended_and_not_called_again(load, monkeypatch):
    monkeypatch.setenv(time_limit.VARIABLE, "0.05")
    loaded, _ = load(LISTENER.format(body="__import__('time').sleep(30)"))
    begin = time.monotonic()
    (error,) = loaded.notify("mamlbench_progress", spec=None, step=1, metrics={})
    assert "longer than 0.05 seconds" in error and "mine.py, line 4" in error
    assert list(loaded.notify("mamlbench_progress", spec=None, step=2, metrics={})) == []
    assert time.monotonic() - begin < 20
    assert "mine" not in sys.modules

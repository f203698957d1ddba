"""Interrupts wait for a safe point where they must, reach what waits at once, and are no mistakes of a plugin."""

import os
import signal
import threading
import time

import pytest

from mamlbench import interrupts
from mamlbench.atomic_write import replaced_when_complete
from mamlbench.interrupts import (
    check_interrupt,
    deferred,
    handled,
    interrupted,
    is_interrupt,
    is_pending,
    prompt,
    request_interrupt,
    shielded,
)


@pytest.fixture
def default_handlers():
    """Ctrl-C is not ignored, as it is in what a shell starts in the background."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in interrupts.SIGNALS}
    yield
    for number, handler in before.items():
        assert signal.getsignal(number) is signal.default_int_handler, "the handlers are as they were"
        signal.signal(number, handler)


pytestmark = pytest.mark.usefixtures("default_handlers")
BOTH = pytest.mark.parametrize("number", interrupts.SIGNALS)


@BOTH
def test_an_interrupt_is_raised_at_once_where_nothing_defers_it(number):
    with pytest.raises(KeyboardInterrupt), handled():
        signal.raise_signal(number)
        time.sleep(60)


@BOTH
def test_a_deferred_interrupt_is_raised_at_the_next_safe_point(number):
    with handled():
        with deferred():
            check_interrupt()
            signal.raise_signal(number)
            assert interrupted() and is_pending()
            with pytest.raises(KeyboardInterrupt):
                check_interrupt()
            assert not is_pending()
        with pytest.raises(KeyboardInterrupt):
            check_interrupt()
    with handled():
        check_interrupt()  # the next call begins without it


def test_what_waits_inside_deferred_work_is_interrupted_at_once():
    with handled(), deferred():
        with pytest.raises(KeyboardInterrupt), prompt():
            signal.raise_signal(signal.SIGTERM)
            time.sleep(60)
        assert interrupted() and not is_pending()


def test_generators_that_end_in_another_order_leave_no_trace():
    def generator():
        with deferred():
            yield

    with handled():
        first = generator()
        next(first)
        with deferred():
            first.close()
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            check_interrupt()
    with pytest.raises(KeyboardInterrupt), handled():
        signal.raise_signal(signal.SIGTERM)


def test_work_without_a_safe_point_is_interrupted_after_a_while(monkeypatch):
    monkeypatch.setattr(interrupts, "OVERDUE_SECONDS", 0.05)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), handled(), deferred():
        signal.raise_signal(signal.SIGTERM)
        time.sleep(60)
    assert time.monotonic() - begin < 30


def test_a_record_that_is_being_written_is_not_interrupted(monkeypatch):
    monkeypatch.setattr(interrupts, "OVERDUE_SECONDS", 0.01)
    with handled(), deferred(), shielded():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)
    assert not interrupted(), "outside, signals are not handled here"


def test_a_second_interrupt_of_a_library_call_is_raised_at_once():
    with handled(), deferred():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_another_thread_interrupts_the_main_one_once():
    with handled(), deferred():
        for _ in range(3):
            thread = threading.Thread(target=request_interrupt)
            thread.start()
            thread.join()
        assert is_pending()


TWO_REQUESTS = """
import threading, time
from mamlbench import interrupts

interrupts.take_over()
with interrupts.deferred():
    barrier = threading.Barrier(8)
    def ask():
        barrier.wait()
        interrupts.request_interrupt()
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    interrupts.request_interrupt()
    print(interrupts.is_pending(), flush=True)
"""


def test_requests_at_the_same_moment_are_one_interrupt(run_forked):
    """A worker whose parent is killed notices it twice: by its watch, and when it reports."""
    done = run_forked(TWO_REQUESTS)
    assert done.stdout == "True\n" and done.returncode == 0


PASSED_ON = """
import os, signal, sys, threading, time
from mamlbench import interrupts

def ask():
    thread = threading.Thread(target=interrupts.request_interrupt)
    thread.start()
    thread.join()

def send():
    os.kill(os.getpid(), {number})

interrupts.take_over()
with interrupts.deferred():
    signal.pthread_sigmask(signal.SIG_BLOCK, {blocked})  # so that all of them arrive at the same moment
    for step in ({steps}):
        step()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {blocked})
    print(interrupts.is_pending(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("never reached", flush=True)
"""


@pytest.mark.parametrize("blocked", ["[]", "[signal.SIGTERM, signal.SIGINT, signal.SIGURG]"], ids=["", "at once"])
@pytest.mark.parametrize("number", ["signal.SIGINT", "signal.SIGTERM"])
@pytest.mark.parametrize("steps", ["send, ask", "ask, send"])
def test_a_signal_that_a_parent_passes_on_as_well_is_one_interrupt(run_forked, steps, number, blocked):
    """Ctrl-C goes to the parent and its workers; a scheduler signals one after the other. The next is the second."""
    prepare = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    done = run_forked(prepare + PASSED_ON.format(steps=steps, number=number, blocked=blocked))
    assert (done.returncode, done.stdout) == (interrupts.EXIT_CODE, "True\n"), done.stderr


def test_a_thread_is_never_interrupted():
    reached = []

    def work():
        with handled(), deferred(), prompt():
            check_interrupt()
            reached.append(True)

    with handled(), deferred():
        signal.raise_signal(signal.SIGTERM)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert reached == [True]


def test_an_ignored_ctrl_c_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nohup
    try:
        with handled(), deferred():
            signal.raise_signal(signal.SIGINT)
            check_interrupt()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_plugins_own_exception_is_no_interrupt():
    assert is_interrupt(KeyboardInterrupt()), "without a handler of ours nobody knows"
    with handled(), deferred():
        assert not is_interrupt(KeyboardInterrupt()) and is_interrupt(GeneratorExit())
        signal.raise_signal(signal.SIGTERM)
        assert is_interrupt(KeyboardInterrupt()) and not is_interrupt(SystemExit())


END = """
import os, signal, subprocess, sys, tempfile
from pathlib import Path
from mamlbench import interrupts
from mamlbench.atomic_write import replaced_when_complete

interrupts.take_over(announce=True)
record = Path("record.json")
with interrupts.deferred(), tempfile.TemporaryDirectory(dir="."), replaced_when_complete(record) as temporary:
    temporary.write_text("half")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path("child").write_text(str(child.pid))
    os.kill(os.getpid(), signal.SIGTERM)
    print("goes on", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("never reached", flush=True)
"""


def test_a_second_interrupt_ends_the_process_at_once_and_leaves_nothing(run_forked, tmp_path):
    done = run_forked(END, tmp_path)
    assert done.returncode == interrupts.EXIT_CODE and done.stdout == "goes on\n"
    assert "Once more ends at once" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["child"], "no temporary file or folder, no half record"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 0)


SLOW_END = """
import os, signal, subprocess, sys
from mamlbench import interrupts

interrupts.OVERDUE_SECONDS = 0.2  # ends while the process waits for a child that does not obey, one second
interrupts.take_over()
with interrupts.deferred():
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(20)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdout.readline()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        print("goes on", flush=True)
"""


def test_nothing_interrupts_the_end_of_a_process(run_forked, tmp_path):
    done = run_forked(SLOW_END, tmp_path)
    assert (done.returncode, done.stdout) == (interrupts.EXIT_CODE, ""), done.stderr


def test_temporary_files_are_known_while_they_are_written(tmp_path):
    from mamlbench.atomic_write import remove_unfinished

    with pytest.raises(FileNotFoundError), replaced_when_complete(tmp_path / "record.json") as temporary:
        temporary.write_text("half")
        remove_unfinished()
        assert not temporary.exists()
    assert not list(tmp_path.iterdir())

"""Interrupts: one Ctrl-C or SIGTERM ends the work at its next safe point, a second one ends the process at once.

Python turns Ctrl-C into an exception between any two lines, also between a file and its record, and libraries swallow
it. Here an interrupt is remembered when it arrives. Work that must not be cut anywhere runs in ``deferred()`` and calls
``check_interrupt()`` at its safe points: after an iteration, a batch of episodes, an engine's trial. If none comes
within ``OVERDUE_SECONDS``, the exception is raised where the work happens to be: a job that hangs must end too.

The process of the command line and a worker call ``take_over``. A library call has ``handled()`` around it, which
leaves the handlers of a notebook or a server as they were. Only the main thread of a process gets signals; in another
one everything here does nothing.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a scheduler's signal, and that of a terminal that is closed, which Windows does not have."""
OVERDUE_SECONDS = 5.0
"""Longest wait for a safe point; schedulers kill ten seconds or more after SIGTERM."""
CHILD_SECONDS = 1.0
"""Time that workers have to end at once, before they are killed."""
EXIT_CODE = 2
"""Of a process that was interrupted: ``errors.ExitCode.INTERRUPTED``."""
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has none
_POKE = getattr(signal, "SIGURG", signal.SIGTERM)
"""Sent by a thread to the main one. None of ``SIGNALS``, where the system has it: a user's second signal ends the
process, and this must not be taken for it. The system's own use, urgent data on a socket, is ignored by default."""
NOTICE = b"\nInterrupted: ending at the next safe point. Once more ends at once.\n"


class _Interrupts:
    """Interrupts of this process; this module is imported first of all, so it is no dataclass."""

    def __init__(self) -> None:
        self.installed = False  # whether the handler below handles signals
        self.ends_process = False  # whether a second interrupt ends the process
        self.announces = False
        self.arrived = 0  # signals of a user or a scheduler
        self.delivered = False  # whether KeyboardInterrupt was raised for it
        self.overdue = False
        self.requested = False  # whether a thread has asked for an interrupt
        self.answered = False  # whether the handler has run for it
        self.ending = False  # whether ``end_at_once`` is under way
        self.depth = 0
        self.shielded = False
        self.exit_code: int | None = None
        self.cleanups: list[Callable[[], object]] = []


_state = _Interrupts()
_lock = threading.Lock()


def take_over(*, announce: bool = False) -> None:
    """Handle the signals of this process from now on: the first interrupt raises, a second one ends the process.

    Args:
        announce: whether an interrupt that has to wait for a safe point is confirmed on stderr.
    """
    if not _state.ends_process:
        atexit.register(_leave)  # the first to be registered is the last to be called
    _state.installed = _state.ends_process = True
    _state.announces = announce
    _install()


def announce_interrupts(announce: bool) -> None:
    """Whether an interrupt is confirmed on stderr from now on, if this process has taken signals over.

    A display of bars does it in its own way.
    """
    _state.announces = announce and _state.ends_process


@contextmanager
def handled() -> Iterator[None]:
    """Handle signals inside, and leave the handlers as they were; nothing if they are handled already."""
    if _state.installed or not _in_main_thread():
        if _state.installed:
            _install()  # a plugin or a library may have changed them
        yield
        return
    previous: dict[Any, Any] = {number: signal.getsignal(number) for number in (*SIGNALS, _POKE)}
    _state.installed, _state.arrived, _state.delivered = True, 0, False
    _state.requested = _state.answered = False
    _install()
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _state.installed = False


@contextmanager
def deferred() -> Iterator[None]:
    """Remember an interrupt that arrives inside, instead of raising it: ``check_interrupt`` does at a safe point."""
    if not _in_main_thread():
        yield
        return
    _state.depth += 1  # generators may leave in another order than they entered
    try:
        yield
    finally:
        _state.depth -= 1


@contextmanager
def prompt() -> Iterator[None]:
    """Inside ``deferred``: raise an interrupt that arrives inside at once."""
    if not _in_main_thread():
        yield
        return
    before, _state.depth = _state.depth, 0
    try:
        yield
    finally:
        _state.depth += before


@contextmanager
def shielded() -> Iterator[None]:
    """Inside ``deferred``: ignore interrupts, but a second one that ends the process: a record is being written."""
    before, _state.shielded = _state.shielded, True
    try:
        yield
    finally:
        _state.shielded = before


def check_interrupt() -> None:
    """Raise KeyboardInterrupt if an interrupt has arrived: call this where the work can be ended."""
    if interrupted() and _in_main_thread():
        _state.delivered = True
        raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether an interrupt has arrived."""
    return _state.installed and (_state.arrived > 0 or _state.answered)


def is_pending() -> bool:
    """Whether an interrupt has arrived for which nothing was raised yet."""
    return interrupted() and not _state.delivered


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is a user's interrupt, rather than a plugin's mistake.

    A plugin may raise KeyboardInterrupt itself: where signals are handled here, and none has arrived, it did.
    """
    if isinstance(error, GeneratorExit):
        return True
    return isinstance(error, KeyboardInterrupt) and (not _state.installed or interrupted())


def request_interrupt() -> None:
    """Interrupt the main thread, from any thread, as one signal would; nothing if it was interrupted already.

    A parent that passes an interrupt on asks for it so. A signal that this process gets as well, before or afterwards,
    is the same interrupt: Ctrl-C goes to all processes of a terminal, a scheduler signals one after the other.
    """
    with _lock:  # two threads may notice the death of a parent at the same moment
        if _state.arrived or _state.requested:
            return
        _state.requested = True
    _poke()


@contextmanager
def cleaned_up(cleanup: Callable[[], object]) -> Iterator[None]:
    """Call ``cleanup`` if the process is ended at once inside, when no ``finally`` runs."""
    _state.cleanups.append(cleanup)
    try:
        yield
    finally:
        _state.cleanups.remove(cleanup)


def work_is_done(code: int = 0) -> None:
    """From here on a signal ends the process at once with this code: its work is done."""
    _state.exit_code = code


def exit_process(code: int) -> NoReturn:
    """End the process with this code; from here on a signal ends it at once with the same code."""
    work_is_done(code)
    _remove_unfinished()
    sys.exit(code)


def end_at_once(code: int = EXIT_CODE) -> NoReturn:
    """End this process and those that it started without waiting for anything, and remove temporary files."""
    _state.ending = True  # from here on no signal, nor the end of the wait for a safe point, may raise anything
    # a worker ends at its second signal; one that was interrupted before, or a compiler, at the first
    for number, seconds in ((signal.SIGTERM, 0.05), (signal.SIGTERM, CHILD_SECONDS), (_KILL, 0.0)):
        for pid in _children():
            with suppress(OSError):
                os.kill(pid, number)
        end = time.monotonic() + seconds
        while _children() and time.monotonic() < end:
            time.sleep(0.01)
    for cleanup in reversed(_state.cleanups):
        with suppress(Exception):
            cleanup()
    _remove_unfinished()
    import weakref

    with suppress(Exception):  # what Python does at its end: tempfile.TemporaryDirectory removes its folder so
        weakref.finalize._exitfunc()  # type: ignore[attr-defined]
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")  # a progress bar hides the cursor
    os._exit(code)


def _leave() -> None:
    """Leave as the last exit function: Python would take seconds to take torch apart, and a signal then kills it."""
    if _state.exit_code is None or sys.gettrace() is not None:  # a measurement of coverage writes at the very end
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):  # a full disk or a closed pipe: Python says so, with an exit code of its own
        return
    os._exit(_state.exit_code)


def _children() -> set[int]:
    """Return the processes that this one started and that run, as far as the system reports them."""
    children = {child.pid for child in getattr(sys.modules.get("multiprocessing"), "active_children", list)()}
    for task in Path("/proc/self/task").glob("*/children"):  # Linux
        with suppress(OSError):
            children |= set(map(int, task.read_text().split()))
    for pid in tuple(children):
        with suppress(OSError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                children.discard(pid)
    # it ends with this process, after it has removed what others left behind
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    return children - {getattr(getattr(tracker, "_resource_tracker", None), "_pid", None)}


def _remove_unfinished() -> None:
    """Remove files that were not written to their end."""
    atomic_write = sys.modules.get("mamlbench.atomic_write")
    if atomic_write is not None:
        atomic_write.remove_unfinished()


def _install() -> None:
    if not _in_main_thread():
        return
    for number in {*SIGNALS, _POKE}:
        always = number in (signal.SIGTERM, _POKE)
        if always or signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores the others
            signal.signal(number, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
    if _state.exit_code is not None:
        os._exit(_state.exit_code)
    if _state.ending:
        return
    if number == _POKE and (_state.overdue or (_state.requested and not _state.answered)):
        _answer()
    elif number in SIGNALS:
        _count()


def _answer() -> None:
    """Do what another thread has asked for."""
    overdue, _state.overdue = _state.overdue, False
    _state.answered = _state.requested
    if overdue and not _state.delivered:  # no safe point came
        _raise()
    if not overdue and not _state.arrived:
        _interrupt()


def _count() -> None:
    """Take a signal for the first interrupt, the same one that a thread has asked for, or the second one."""
    _state.arrived += 1
    if _state.arrived > 1 and _state.ends_process:
        end_at_once()
    if _state.arrived > 1 or not _state.answered:
        _interrupt()


def _interrupt() -> None:
    """Raise the interrupt here, or at a safe point, or when none has come for too long."""
    if _state.shielded:
        return
    if _state.arrived > 1 or not _state.depth:
        _raise()
    if _state.announces:
        with suppress(OSError):  # the terminal is closed
            os.write(2, NOTICE)
    timer = threading.Timer(OVERDUE_SECONDS, _set_overdue)
    timer.daemon = True
    timer.start()


def _raise() -> NoReturn:
    _state.delivered = True
    raise KeyboardInterrupt


def _set_overdue() -> None:
    if is_pending() and not _state.shielded:
        _state.overdue = True
        _poke()


def _poke() -> None:
    """Let the handler run in the main thread, also if that waits in a system call."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, _POKE)
    else:
        import _thread

        _thread.interrupt_main(_POKE)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

"""Watches a plugin's code while it is called: names a slow one, and ends one that hangs."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NOTICE_SECONDS = 10.0
"""After these, a plugin that is still busy is named."""
LIMIT_SECONDS = 120.0
"""After these, a plugin's import or listener is given up."""
VARIABLE = "MAMLBENCH_PLUGIN_SECONDS"
"""Environment variable that sets another limit; 0: none."""


class PluginTimeout(BaseException):
    """Raised in a plugin that takes too long; no ``except Exception`` of the plugin catches it."""


@contextmanager
def watched(title: str) -> Iterator[None]:
    """Name a plugin that is slow, and raise PluginTimeout in one that takes longer than the limit.

    Only the main thread can be interrupted, and only on systems with SIGALRM; elsewhere there is only the notice.

    Args:
        title: what is done, as the notice names it: ``loading plugin 'mine' (mine.py)``.
    """
    limit = plugin_limit()
    timer = threading.Timer(NOTICE_SECONDS, _notice, (title, limit))
    timer.daemon = True
    timer.start()
    try:
        with _alarm(limit):
            yield
    finally:
        timer.cancel()


def plugin_limit() -> float:
    """Return the seconds after which a plugin is given up; 0: never."""
    try:
        return max(0.0, float(os.environ.get(VARIABLE, LIMIT_SECONDS)))
    except ValueError:
        return LIMIT_SECONDS


def _notice(title: str, limit: float) -> None:
    until = f"; it is given up after {limit:g} seconds ({VARIABLE} sets another limit)" if limit else ""
    logging.getLogger("mamlbench").warning("Still %s%s.", title, until)


@contextmanager
def _alarm(limit: float) -> Iterator[None]:
    """Raise PluginTimeout after so many seconds, and again every second, should the plugin catch it."""
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not limit or not usable or signal.getitimer(signal.ITIMER_REAL)[0]:  # a program's own alarm goes before
        yield
        return

    def give_up(number: int, frame: FrameType | None) -> None:
        raise PluginTimeout(f"it takes longer than {limit:g} seconds; {VARIABLE} sets another limit, 0 none")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

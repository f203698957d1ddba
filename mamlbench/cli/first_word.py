"""Shows on a terminal that a command is at work, if it has written nothing yet: importing torch takes seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

SECONDS = 0.6
"""Time after which something is shown."""
ERASE = "\r\x1b[K"
"""Goes to the beginning of a terminal's line and clears it."""


class FirstWord:
    """A line on a terminal that is there until something else is written.

    Args:
        stream: the terminal.
        start: starts a function after so many seconds.
    """

    def __init__(self, stream: TextIO, start: Callable[[float, Callable[[], None]], object] | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._over = self._shown = False
        (start or _start)(SECONDS, self._show)

    def end(self) -> None:
        """Remove the line, and show none from now on: something else is about to be written."""
        if self._over:
            return
        with self._lock:
            self._over = True
            if self._shown:
                self._write(ERASE)

    def _show(self) -> None:
        with self._lock:
            if not self._over:
                self._shown = True
                self._write("Loading torch ..." if "torch" in sys.modules else "Loading ...")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is closed
            self._over = True


def first_word(arguments: Sequence[str], stream: TextIO) -> Callable[[], None]:
    """Begin to wait, on a terminal, unless ``--quiet`` is among the arguments; return what ends it."""
    if {"-q", "--quiet"} & {*arguments} or not stream.isatty():
        return _nothing
    return FirstWord(stream).end


def _nothing() -> None:
    """Do nothing."""


def _start(seconds: float, function: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()

"""Signals during a run: SIGTERM interrupts it as Ctrl-C does, and nothing interrupts the writing of its record.

Only the main thread of a process can handle signals; in another thread everything here does nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def sigterm_interrupts() -> AbstractContextManager[None]:
    """Raise KeyboardInterrupt at a SIGTERM, which a scheduler sends to every process that it ends."""
    return _handled_by({signal.SIGTERM: signal.default_int_handler})


def interrupts_ignored() -> AbstractContextManager[None]:
    """Ignore interrupts: a second Ctrl-C often follows the first one."""
    return _handled_by(dict.fromkeys(INTERRUPTS, signal.SIG_IGN))


@contextmanager
def interrupts_recorded() -> Iterator[list[int]]:
    """Yield a list of the interrupts that have arrived; what they do stays as it is."""
    arrived: list[int] = []

    def recording(previous: Any) -> Any:
        def handler(number: int, frame: FrameType | None) -> None:
            arrived.append(number)
            previous(number, frame)

        return handler if callable(previous) else previous  # ignored, or left to the system: there is nothing to call

    with _handled_by({number: recording(signal.getsignal(number)) for number in INTERRUPTS}):
        yield arrived


@contextmanager
def _handled_by(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous: dict[Any, Any] = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

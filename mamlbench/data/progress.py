"""Progress of a preparation: the callback that receives it, and an iterator that reports it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

REPORT_SECONDS = 0.2
"""Shortest time between two reports."""

Item = TypeVar("Item")
ProgressCallback = Callable[[str, int, int], None]
"""Called with a title, the number of items done and their total number."""


def no_progress(title: str, done: int, total: int) -> None:
    """Ignore progress: the callback if nobody watches."""


def with_progress(items: Iterable[Item], title: str, count: int, progress: ProgressCallback) -> Iterator[Item]:
    """Yield ``items`` unchanged, and report how many the caller has processed.

    ``progress`` is called at most every ``REPORT_SECONDS``, and once at the end.

    Args:
        items: of any kind.
        title: what is being done, for display.
        count: how many items there will be.
        progress: called with the title, the number done and ``count``.
    """
    done, last_report = 0, 0.0
    for done, item in enumerate(items, 1):
        yield item
        if done < count and time.monotonic() - last_report > REPORT_SECONDS:
            last_report = time.monotonic()
            progress(title, done, count)
    progress(title, done, count)

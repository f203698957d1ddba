"""How many tasks' feature maps are computed at once. Who computes them says it; layers choose their kernels by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_together: ContextVar[int] = ContextVar("together", default=1)


@contextmanager
def maps_together(tasks: int) -> Iterator[None]:
    """Say that so many tasks' feature maps are computed at once inside, and differentiated twice.

    Derivatives by hand pay from smaller maps on there; where they are differentiated once, under vmap, they do not.
    """
    token = _together.set(tasks)
    try:
        yield
    finally:
        _together.reset(token)


def tasks_together() -> int:
    """What ``maps_together`` says here; 1 outside."""
    return _together.get()

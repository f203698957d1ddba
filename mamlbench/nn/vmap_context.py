"""How many tasks' feature maps are computed at once. Who computes them says it; layers choose their kernels by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class VmapContext(NamedTuple):
    """How feature maps are computed: those of how many tasks at once, and whether they are differentiated twice."""

    tasks: int = 1
    twice: bool = False


_together: ContextVar[VmapContext] = ContextVar("current_vmap_context", default=VmapContext())  # noqa: B039 (immutable)


@contextmanager
def vmap_context(tasks: int, *, twice: bool = True) -> Iterator[None]:
    """Say that so many tasks' feature maps are computed at once inside, by ``torch.func.vmap``.

    Args:
        tasks: how many.
        twice: whether they are differentiated twice; derivatives by hand pay from smaller maps on there.
    """
    token = _together.set(VmapContext(tasks, twice and tasks > 1))
    try:
        yield
    finally:
        _together.reset(token)


def current_vmap_context() -> VmapContext:
    """What ``vmap_context`` says here; one task outside."""
    return _together.get()

"""Lets ``torch.func.grad`` in an inner step compute what ``mamlbench.api.grad`` computes, as fast.

``torch.func.grad`` and ``grad_and_value`` return functions that, each time they are called, look up
``torch._functorch.eager_transforms.grad_and_value_impl`` (the former through ``grad_impl``). While an engine computes,
that name refers to ``_routed`` below. Why this is safe:

- it gives torch's own numbers: ``by_reverse_mode`` is used only if ``reverse_mode_applies``, that is for a gradient
  directly inside one vmap, or if nothing can differentiate it; everything else (a gradient inside a gradient, vjp,
  jacrev, jvp, hessian, nested vmap, torch.compile, arguments that torch refuses) goes to torch's function as it was;
- the decision looks at this thread's stack of transforms, so that other threads are served right too;
- the name is restored when the last engine in the process has finished; a count guarded by a lock makes it so.

A release of torch that is built otherwise is recognized by a trial (``torch_grad_route``): there nothing is replaced,
``torch.func.grad`` works as torch has it, only slower, and records and ``mamlbench check`` say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

import torch
from torch._functorch import eager_transforms

from mamlbench.nn.gradients import Argnums, by_reverse_mode, reverse_mode_applies

_NAME = "grad_and_value_impl"
_torchs: Callable[..., Any] | None = getattr(eager_transforms, _NAME, None)
_OURS = "that of mamlbench.api.grad"
_lock = Lock()
_active = 0


def _routed(
    function: Callable[..., Any], argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if reverse_mode_applies(argnums, args):
        return by_reverse_mode(function, argnums, has_aux, args, kwargs)
    assert _torchs is not None
    return _torchs(function, argnums, has_aux, args, kwargs)


@lru_cache
def torch_grad_route() -> str:
    """The path that ``torch.func.grad`` takes in an inner step, for records: ours, or torch's own and why.

    Found by a trial of this release of torch.
    """
    if _torchs is None:
        return f"torch's own: this release has no {_NAME}"
    calls: list[object] = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return _routed(*arguments)

    try:
        with _replaced(counted):
            torch.func.vmap(torch.func.grad(torch.square))(torch.ones(2))
            torch.func.vmap(torch.func.grad_and_value(torch.square))(torch.ones(2))
    except Exception as error:  # internals of torch: whatever they raise, its own function is still there
        return f"torch's own: {type(error).__name__}: {error}"
    return _OURS if len(calls) >= 2 else "torch's own: this release looks it up elsewhere"


def torch_grad_is_ours() -> bool:
    """Whether ``torch.func.grad`` takes the path of ``mamlbench.api.grad`` with this release of torch."""
    return torch_grad_route() == _OURS


@contextmanager
def route_torch_grad() -> Iterator[None]:
    """Let ``torch.func.grad`` and ``grad_and_value`` take the path of ``mamlbench.api.grad`` inside; may be nested."""
    global _active  # noqa: PLW0603 (a name of torch's is one for the process, and so is the count of its users)
    if not torch_grad_is_ours():
        yield
        return
    with _lock:
        _active += 1
        setattr(eager_transforms, _NAME, _routed)
    try:
        yield
    finally:
        with _lock:
            _active -= 1
            if not _active:
                setattr(eager_transforms, _NAME, _torchs)


@contextmanager
def _replaced(function: Callable[..., Any]) -> Iterator[None]:
    """Another function under torch's name, for the trial, which one thread makes at a time."""
    with _lock:
        before = getattr(eager_transforms, _NAME)
        setattr(eager_transforms, _NAME, function)
        try:
            yield
        finally:
            setattr(eager_transforms, _NAME, before)

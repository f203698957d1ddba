"""Routes ``torch.func.grad`` in an inner step to ``mamlbench.api.grad``, so that both are equally fast.

``torch.func.grad`` and ``grad_and_value`` return functions that, each time they are called, look up
``torch._functorch.eager_transforms.grad_and_value_impl`` (the former through ``grad_impl``). While an engine computes,
that name refers to ``_routed_impl`` below. Why this is safe:

- the numbers are torch's: ``by_reverse_mode`` is used only if ``reverse_mode_applies``, that is for a gradient
  directly inside one vmap, or if nothing can differentiate it; all other calls (a gradient inside a gradient, vjp,
  jacrev, jvp, hessian, nested vmap, torch.compile, arguments that torch refuses) go to torch's own function;
- the decision reads this thread's stack of transforms, so that it is right for other threads too;
- the name is restored when the last engine in the process has finished, by a count under a lock.

``torch_grad_route`` tries whether this release of torch works like that. If not, nothing is replaced,
``torch.func.grad`` works as torch wrote it, only slower, and records and ``mamlbench check`` report it.
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
_torch_impl: Callable[..., Any] | None = getattr(eager_transforms, _NAME, None)
_ROUTED = "that of mamlbench.api.grad"
_lock = Lock()
_active = 0


def _routed_impl(
    function: Callable[..., Any], argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if reverse_mode_applies(argnums, args):
        return by_reverse_mode(function, argnums, has_aux, args, kwargs)
    assert _torch_impl is not None
    return _torch_impl(function, argnums, has_aux, args, kwargs)


@lru_cache
def torch_grad_route() -> str:
    """The path of ``torch.func.grad`` in an inner step: that of ``mamlbench.api.grad``, or torch's own and why.

    It is determined by a trial of this release of torch.
    """
    if _torch_impl is None:
        return f"torch's own: this release has no {_NAME}"
    calls: list[object] = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return _routed_impl(*arguments)

    try:
        with _replaced(counted):
            torch.func.vmap(torch.func.grad(torch.square))(torch.ones(2))
            torch.func.vmap(torch.func.grad_and_value(torch.square))(torch.ones(2))
    except Exception as error:  # internals of torch may raise any type; its own function still works
        return f"torch's own: {type(error).__name__}: {error}"
    return _ROUTED if len(calls) >= 2 else "torch's own: this release looks it up elsewhere"


def torch_grad_is_routed() -> bool:
    """Whether ``torch.func.grad`` takes the path of ``mamlbench.api.grad`` with this release of torch."""
    return torch_grad_route() == _ROUTED


@contextmanager
def route_torch_grad() -> Iterator[None]:
    """Route ``torch.func.grad`` and ``grad_and_value`` to ``mamlbench.api.grad`` inside; may be nested."""
    global _active  # noqa: PLW0603 (the replaced name is global in the process, so its count is too)
    if not torch_grad_is_routed():
        yield
        return
    with _lock:
        _active += 1
        setattr(eager_transforms, _NAME, _routed_impl)
    try:
        yield
    finally:
        with _lock:
            _active -= 1
            if not _active:
                setattr(eager_transforms, _NAME, _torch_impl)


@contextmanager
def _replaced(function: Callable[..., Any]) -> Iterator[None]:
    """Put ``function`` under torch's name during the trial, under the lock."""
    with _lock:
        before = getattr(eager_transforms, _NAME)
        setattr(eager_transforms, _NAME, function)
        try:
            yield
        finally:
            setattr(eager_transforms, _NAME, before)

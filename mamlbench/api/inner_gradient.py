"""The gradient that an inner step follows, differentiable in the way that the engine asks for."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp

from mamlbench.api.episodes import Examples
from mamlbench.api.gradients import grad
from mamlbench.api.model import Parameters

Loss = Callable[[Parameters, Examples], Tensor]

Known = list[Parameters]
"""What each call of ``inner_gradient`` in a step returned, in order."""

_remembering: ContextVar[Known | None] = ContextVar("_remembering", default=None)
_forward_over_reverse: ContextVar[Iterator[Parameters] | None] = ContextVar("_forward_over_reverse", default=None)


@contextmanager
def remember_gradients() -> Iterator[Known]:
    """Collect what every ``inner_gradient`` inside returns, for ``forward_over_reverse`` of the same computation."""
    known: Known = []
    token = _remembering.set(known)
    try:
        yield known
    finally:
        _remembering.reset(token)


@contextmanager
def forward_over_reverse(known: Known | None = None) -> Iterator[None]:
    """Let every ``inner_gradient`` inside be differentiated by forward mode over its reverse mode.

    Args:
        known: what they returned when the same was computed before; they are not computed again.
    """
    _load_forward_rules()
    token = _forward_over_reverse.set(iter(known or ()))
    try:
        yield
    finally:
        _forward_over_reverse.reset(token)


@lru_cache
def _load_forward_rules() -> None:
    """Import torch's forward-mode rules, whose own use of torch.jit.script warns of its deprecation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("torch._decomp.decompositions_for_jvp")


def inner_gradient(loss: Loss, state: Parameters, support: Examples, adapted: Collection[str]) -> Parameters:
    """Gradient of ``loss(state, support)`` with respect to the tensors of ``state`` named in ``adapted``.

    Differentiated itself (second-order MAML), it is a Hessian-vector product. The Hessian is symmetric, so forward
    mode gives that product without a second backward pass and its graph; the engine's recomputed mode asks for it.
    See "Scalable Meta-Learning via Mixed-Mode Differentiation", ICML 2025 (arXiv 2505.00793).

    Args:
        loss: a scalar ``[]`` of one task; may close over nothing that belongs to a task or is differentiated.
        state: tensors by name; gradients flow back to all of them.
        support: the task's examples, x ``[n, *input_shape]``; no gradient flows to them.
        adapted: names in ``state``.

    Returns:
        One tensor per name in ``adapted``, shaped like it.
    """
    names = [name for name in state if name in adapted]
    before = _forward_over_reverse.get()
    if before is None:
        theta = {name: state[name] for name in names}
        gradient: Parameters = grad(lambda theta: loss({**state, **theta}, support))(theta)
        remembering = _remembering.get()
        if remembering is not None:
            remembering.append(gradient)
        return gradient
    known = next(before, {})
    function = _OverTensors(loss, list(state), names)
    tensors = (*support, *(known[name] for name in names if known), *state.values())
    slopes = _SymmetricGradient.apply(function, len(names) if known else 0, *tensors)
    return dict(zip(names, slopes, strict=True))


class _OverTensors:
    """``loss`` as a function of flat tensors: an autograd Function sees nothing else."""

    def __init__(self, loss: Loss, names: list[str], adapted: list[str]) -> None:
        self.loss, self.names = loss, names
        self.adapted = [name in set(adapted) for name in names]

    def gradient(self, support: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Gradient with respect to every tensor of the state."""
        return grad(lambda state: self.loss(dict(zip(self.names, state, strict=True)), Examples(*support)))(state)  # type: ignore[no-any-return]

    def of_adapted(self, support: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Gradient with respect to the adapted tensors alone."""
        moving = tuple(value for value, moves in zip(state, self.adapted, strict=True) if moves)

        def loss(moving: tuple[Tensor, ...]) -> Tensor:
            rest = iter(moving)
            whole = [next(rest) if moves else value for value, moves in zip(state, self.adapted, strict=True)]
            return self.loss(dict(zip(self.names, whole, strict=True)), Examples(*support))

        return grad(loss)(moving)  # type: ignore[no-any-return]

    def along(self, slopes: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """A direction in the whole state from one in its adapted part."""
        rest = iter(slopes)
        pairs = zip(state, self.adapted, strict=True)
        return tuple(next(rest) if moves else torch.zeros_like(value) for value, moves in pairs)


class _SymmetricGradient(torch.autograd.Function):
    """∇L whose backward pass is ∂²L · v by forward over reverse: the Hessian over the whole state is symmetric."""

    generate_vmap_rule = True

    @staticmethod
    def forward(function: _OverTensors, known: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        """``tensors``: the support set, the gradient where it is known (so many tensors), the state."""
        if known:
            return tuple(slope.clone() for slope in tensors[2 : 2 + known])
        return function.of_adapted(tensors[:2], tensors[2:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.function, ctx.known, *tensors = inputs
        ctx.save_for_backward(*tensors[:2], *tensors[2 + ctx.known :])

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        support, state = ctx.saved_tensors[:2], ctx.saved_tensors[2:]
        direction = ctx.function.along(slopes, state)
        _, curvature, *_ = jvp(lambda *state: ctx.function.gradient(support, state), state, direction)
        return (*(None for _ in range(4 + ctx.known)), *curvature)

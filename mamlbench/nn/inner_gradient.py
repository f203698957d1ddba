"""The gradient that an inner step follows."""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from mamlbench.data.episodes import Examples
from mamlbench.nn.gradients import grad
from mamlbench.nn.model import Parameters

Loss = Callable[[Parameters, Examples], Tensor]


def inner_gradient(loss: Loss, state: Parameters, support: Examples, adapted: Collection[str]) -> Parameters:
    """Gradient of ``loss(state, support)`` with respect to the tensors of ``state`` named in ``adapted``.

    Differentiated itself (second-order MAML), it is a Hessian-vector product.

    Args:
        loss: a scalar ``[]`` of one task; may close over nothing that belongs to a task or is differentiated.
        state: tensors by name; gradients flow back to all of them.
        support: the task's examples, x ``[n, *input_shape]``; no gradient flows to them.
        adapted: names in ``state``.

    Returns:
        One tensor per name in ``adapted``, shaped like it.
    """
    theta = {name: value for name, value in state.items() if name in adapted}
    gradient: Parameters = grad(lambda theta: loss({**state, **theta}, support))(theta)
    return gradient

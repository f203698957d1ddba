"""How the losses of a set's examples become the loss of the set: the option that MAML and its variants share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from mamlbench.api import Classification, GradientBased

LossReduction = Annotated[
    Literal["mean", "per-shot"],
    Field(
        description="loss of a set: mean over its examples, or their sum divided by the support set's shots, as in the "
        "original code (its inner rate 0.4 is 2.0 on the mean of five classes)"
    ),
]
"""Type of the option ``loss_reduction``."""


def support_loss(method: GradientBased[Any, Any], outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of a support set, a scalar ``[]``, reduced as the method's ``loss_reduction`` says.

    The shots are those of this support set, which at test time may be others than in training: 'per-shot' is the sum
    over classes of the mean loss of a class, so that an inner rate means the same with any shots.

    Args:
        method: its objective and option are used.
        outputs: of the network, ``[n, outputs]``.
        y: targets, ``[n]``, or ``[n, outputs]`` in regression.
    """
    classes = method.objective.outputs if isinstance(method.objective, Classification) else 1
    return _reduced(method, outputs, y, shots=y.shape[0] / classes)


def query_loss(method: GradientBased[Any, Any], outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of a query set in training, a scalar ``[]``, reduced as the method's ``loss_reduction`` says.

    'per-shot' divides by the shots of the training episodes' support sets, as the original code does.

    Args:
        method: its objective, shots and option are used.
        outputs: of the network, ``[n, outputs]``.
        y: targets, ``[n]``, or ``[n, outputs]`` in regression.
    """
    return _reduced(method, outputs, y, shots=method.context.shots)


def _reduced(method: GradientBased[Any, Any], outputs: Tensor, y: Tensor, *, shots: float) -> Tensor:
    if method.options.loss_reduction == "mean":
        return method.objective.loss(outputs, y)
    return method.objective.losses(outputs, y).sum() / shots

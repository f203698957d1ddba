"""How the losses of a set's examples become the loss of the set: the option that MAML and its variants share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from mamlbench.api import GradientBased

LossReduction = Annotated[
    Literal["mean", "per-shot"],
    Field(
        description="loss of a set: mean over its examples, or their sum divided by the shots, as in the original "
        "code (its inner rate 0.4 is 2.0 on the mean of five classes)"
    ),
]
"""Type of the option ``loss_reduction``."""


def set_loss(method: GradientBased[Any, Any], outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of a support or query set, a scalar ``[]``, reduced as the method's ``loss_reduction`` says.

    Args:
        method: its objective, shots and option are used.
        outputs: of the network, ``[n, outputs]``.
        y: targets, ``[n]``.
    """
    losses = method.objective.losses(outputs, y)  # [n]
    return losses.mean() if method.options.loss_reduction == "mean" else losses.sum() / method.context.shots

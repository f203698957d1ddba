"""Metrics: one number per episode, with a unit and a direction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

TaskKind = Literal["classification", "regression", "multi-label", "reinforcement"]
"""What targets are: one class of each example, numbers, for each of several labels whether it holds; or there are none,
and an example is a trajectory in an environment, which is to bring rewards."""


class Metric(ABC):
    """A score of each episode. Model selection, tables, figures and the gate follow its unit and direction.

    A metric has no options: under one name every record holds the same quantity. It must not let one episode
    influence another, nor depend on the order of the examples; ``mamlbench check`` looks at that.

    Attributes:
        name: the name it is registered under, as tables show it, such as ``macro F1``.
        unit: '%' if the score is a share of 1, which tables show times 100; else the unit, or nothing.
        higher_is_better: its direction.
        kind: which tasks it judges.
    """

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool]
    kind: ClassVar[TaskKind] = "classification"

    @abstractmethod
    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Score T episodes at once, each by its n query examples.

        Args:
            outputs: of the network, ``[T, n, outputs]``; logits in classification.
            y: labels int64 ``[T, n]`` in 0 to outputs - 1, or targets ``[T, n, outputs]``: numbers in
                regression, and 1 for each label that holds and 0 for the others in multi-label tasks.

        Returns:
            Floating-point scores ``[T]``.
        """

    @classmethod
    def better(cls, new: float, old: float) -> bool:
        """Whether ``new`` is a better score than ``old``."""
        return new > old if cls.higher_is_better else new < old

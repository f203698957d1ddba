"""Engines: they run functions of one task over the T tasks of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor
from typing_extensions import TypeVar

from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.nn.parameters import Parameters

StateT = TypeVar("StateT", default=Any)
"""State of one task inside a method: any pytree of tensors."""


class InnerLoopMethod(Protocol[StateT]):
    """A method whose outer loss is differentiated through its inner loop; every function is for ONE task."""

    @property
    def gradient_order(self) -> int:
        """2 to differentiate through the inner steps, 1 not to."""

    def init(self, meta: Parameters, support: Examples) -> StateT:
        """The state before the first step, a pytree; ``meta`` by name, ``support`` x ``[n, *input_shape]``."""

    def step(self, state: StateT, support: Examples) -> StateT:
        """The state after one more inner step on ``support``, x ``[n, *input_shape]``."""

    def loss(self, state: StateT, query: Examples) -> Tensor:
        """The outer loss of the adapted state on ``query``, x ``[n, *input_shape]``: a scalar ``[]``."""


class Engine(ABC):
    """Runs per-task functions over the T tasks of a batch.

    Attributes:
        name: as ``--engine`` takes it and records keep it.
        plain: whether networks built for this engine stay as their author wrote them, with nothing fused.
        second_order: whether what is being computed is differentiated twice through a stored graph; networks built for
            this engine then take other derivatives, which give the same numbers.
    """

    name: str
    plain: bool = False
    second_order: bool = False

    @abstractmethod
    def map(self, function: Callable[..., Any], *tasks: Any) -> Any:
        """Apply ``function`` to each task and stack the results, without recording a graph.

        Args:
            function: takes one task's slice of each argument; may close over tensors that all tasks share.
            tasks: pytrees of tensors with a leading dimension T.

        Returns:
            The function's pytree, each tensor with a leading dimension T.
        """

    @abstractmethod
    def meta_gradient(
        self, method: InnerLoopMethod, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        """Gradient of the outer loss with respect to ``meta``, and that loss, both summed over the T tasks.

        With ``gradient_order`` 2 it is differentiated through all ``steps`` inner steps. With 1 it is the gradient
        at the adapted state, pulled back through ``init`` alone (Finn et al. 2017, section 5.2).

        Args:
            method: functions of ONE task.
            meta: meta-parameters by name.
            batch: T episodes.
            steps: number of inner steps.

        Returns:
            The gradient, by name and in the shapes of ``meta``, and the loss, a scalar ``[]``.
        """

"""The return of an environment's trajectories."""

from __future__ import annotations

from torch import Tensor

from mamlbench.api import Metric


class MeanReturn(Metric):
    """Sum of the rewards of a trajectory, the mean over an episode's trajectories after adaptation."""

    name = "return"
    higher_is_better = True
    kind = "reinforcement"

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        return outputs.mean((-1, -2))

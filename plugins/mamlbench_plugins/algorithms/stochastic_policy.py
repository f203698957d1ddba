"""What methods of reinforcement share: a network with deviations as a policy, and its trajectories in a task."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor
from typing_extensions import TypeVar

from mamlbench.api import ConfigError, GradientBased, LogUniform, MethodContext, Mode, OuterOptions, Parameters
from mamlbench_plugins.datasets.environments import Return, Trajectories

SPREAD = "learned.spread"
"""Name of the logarithm of the policy's standard deviations."""


class PolicyOptions(OuterOptions):
    """Options of methods with policy gradients."""

    outer_lr: float = Field(0.003, gt=0, description="outer learning rate β")
    inner_lr: Annotated[float, LogUniform(0.01, 1.0)] = Field(0.1, gt=0, description="inner learning rate α")
    later_share: float = Field(0.5, gt=0, le=1, description="rate of every further inner step, as a share of α")
    test_steps: int = Field(3, ge=0, description="inner steps in validation and test")
    deviation: float = Field(
        1.0, gt=0, description="standard deviation of actions before training, where they have one"
    )
    discount: float = Field(0.99, gt=0, le=1, description="of rewards, in advantages")


PolicyOptionsT = TypeVar("PolicyOptionsT", bound=PolicyOptions, default=PolicyOptions)
"""Options of a method with a policy."""


class StochasticPolicy(GradientBased[Parameters, PolicyOptionsT]):
    """A method whose tasks are solved by a policy, with the network's parameters and deviations as its state."""

    kinds = ("reinforcement",)

    def __init__(self, context: MethodContext, options: PolicyOptionsT) -> None:
        if not isinstance(context.objective, Return):
            raise ConfigError(f"{type(self).__name__} learns a policy: it needs an environment, such as navigation.")
        self.environment = context.objective.environment
        super().__init__(context, options)

    def initial_meta(self) -> Parameters:
        """The network and the log standard deviations of its actions."""
        theta, count = self.model.initial_parameters(), self.environment.spreads
        like = next(iter(theta.values()))
        return theta | ({SPREAD: like.new_full((count,), math.log(self.options.deviation))} if count else {})

    def trajectories(self, theta: Parameters, x: Tensor) -> Trajectories:
        """Run the policy of ONE task with the noise of examples ``[n, example_size]``."""
        network = self.network(theta)
        return self.environment.run(lambda state: self.model(network, state), self.spread(theta), x)

    def log_probability(self, theta: Parameters, sampled: Trajectories) -> Tensor:
        """Log probabilities log π(a | s) of the actions of trajectories: ``[n, H]``."""
        outputs = self.model(self.network(theta), sampled.observations.flatten(0, 1))  # [n * H, outputs]
        log_p = self.environment.log_probability(outputs, self.spread(theta), sampled.actions.flatten(0, 1))
        return log_p.view_as(sampled.rewards)

    def network(self, theta: Parameters) -> Parameters:
        """The network's parameters."""
        return theta.select(self.model.names)

    def spread(self, theta: Parameters) -> Tensor:
        """Log standard deviations of actions; empty if the policy has none."""
        return theta[SPREAD] if SPREAD in theta else next(iter(theta.values())).new_zeros(0)

    def predict(self, state: Parameters, support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        """The return of each trajectory of the query set, in every mode: ``[n, example_size]`` to ``[n, 1]``."""
        return self.trajectories(state, x).rewards.sum(1, keepdim=True)

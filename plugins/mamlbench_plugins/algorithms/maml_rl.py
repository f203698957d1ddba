"""MAML with policy gradients: Finn, Abbeel & Levine, ICML 2017 (arXiv 1703.03400), Algorithm 3 and section 5.3."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import (
    ConfigError,
    Examples,
    GradientBased,
    LogUniform,
    MethodContext,
    Mode,
    OuterOptions,
    Parameters,
    grad,
)
from mamlbench_plugins.algorithms.policy_advantages import advantages_of
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.datasets.environments import Return, Trajectories

SPREAD = "learned.spread"
"""Name of the logarithm of the policy's standard deviations."""
SHIFT = 37
"""Steps that the noise of trajectories is moved by for every further inner step."""


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


class PolicyGradientOptions(PolicyOptions):
    """Options of MAML with policy gradients."""

    train_steps: int = Field(1, ge=0, description="inner steps in training; 0 is joint training on all tasks")


class MAMLRL(GradientBased[Parameters, PolicyGradientOptions]):
    """Learns a policy from which one or a few policy-gradient steps solve a task.

    Algorithm 3, with the numbers of its lines:
      5:  sample K trajectories D with f_θ in the task             (the support set: its noise; ``trajectories``)
      6:  evaluate ∇θ L(f_θ) using D, L the negative return (4)    ``surrogate``: −mean log π(a | s) A, vanilla
      7:  θ' = θ − α ∇θ L(f_θ)                                     ``step``
      8:  sample trajectories D' with f_θ'                         (the query set)
      10: θ ← θ − β ∇θ Σ L(f_θ') using each D'                     ``loss``, differentiated by the engine

    A is what discounted rewards from a step on exceed a linear baseline of position and time by, fitted in each task
    (Duan et al. 2016, arXiv 1604.06778, section 5), divided by its deviation. The paper takes the outer step by TRPO;
    here the harness's outer optimizer takes it, Adam by default. As in the paper's code no gradient goes through how
    trajectories are sampled.
    """

    Options = PolicyGradientOptions
    presets = load_presets("maml_rl")
    kinds = ("reinforcement",)
    gradient_order = 2

    def __init__(self, context: MethodContext, options: PolicyGradientOptions) -> None:
        if not isinstance(context.objective, Return):
            raise ConfigError(f"{type(self).__name__} learns a policy: it needs an environment, such as navigation.")
        self.environment = context.objective.environment
        super().__init__(context, options)

    def initial_meta(self) -> Parameters:
        """The network and the log standard deviations of its actions."""
        theta = self.model.initial_parameters()
        like = next(iter(theta.values()))
        spread = (
            {SPREAD: like.new_full((self.environment.spreads,), math.log(self.options.deviation))}
            if self.environment.spreads
            else {}
        )
        return theta | spread

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """Every task starts at θ."""
        return meta

    def minibatch(self, support: Examples, keys: Tensor, step: int, *, training: bool) -> Examples:
        """New trajectories for every step: their noise is moved along. A y of 1 says that it is a further step."""
        if step == 0:
            return support
        return support._replace(x=self.environment.shifted(support.x, SHIFT * step), y=torch.ones_like(support.y))

    def step(self, state: Parameters, support: Examples) -> Parameters:
        """Lines 5 to 7."""
        gradient: Parameters = grad(lambda theta: self.surrogate(theta, support.x))(state)
        rate = self.options.inner_lr * self.options.later_share ** support.y.mean()
        return state - gradient.map(lambda value: rate * value)

    def loss(self, state: Parameters, query: Examples) -> Tensor:
        """Lines 8 and 10: a scalar."""
        return self.surrogate(state, query.x)

    def surrogate(self, theta: Parameters, x: Tensor) -> Tensor:
        """Minus the mean of log π(a | s) A over steps ``[n, H]``: a scalar, whose gradient is that of the return."""
        sampled = self.trajectories(theta.map(Tensor.detach), x)
        advantages = advantages_of(sampled, self.options.discount)  # [n, H]
        outputs = self.model(self.network(theta), sampled.observations.flatten(0, 1))  # [n * H, outputs]
        actions = sampled.actions.flatten(0, 1)
        log_p = self.environment.log_probability(outputs, self.spread(theta), actions).view_as(advantages)
        return -(log_p * advantages).sum() / sampled.running.sum()

    def trajectories(self, theta: Parameters, x: Tensor) -> Trajectories:
        """Run the policy of ONE task with the noise of examples ``[n, example_size]``."""
        network = self.network(theta)
        return self.environment.run(lambda state: self.model(network, state), self.spread(theta), x)

    def network(self, theta: Parameters) -> Parameters:
        """The network's parameters."""
        return theta.select(self.model.names)

    def spread(self, theta: Parameters) -> Tensor:
        """Log standard deviations of actions; empty if the policy has none."""
        return theta[SPREAD] if SPREAD in theta else next(iter(theta.values())).new_zeros(0)

    def predict(self, state: Parameters, support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        """The return of each trajectory of the query set, in every mode: ``[n, example_size]`` to ``[n, 1]``."""
        return self.trajectories(state, x).rewards.sum(1, keepdim=True)


class FOMAMLRL(MAMLRL):
    """Its first-order form: the gradient at the adapted policy θ', applied to θ."""

    presets = load_presets("fomaml_rl")
    gradient_order = 1


class PretrainRL(MAMLRL):
    """One policy for all tasks, by the same gradients: what adapts from it is pretrained, not meta-learned."""

    Options = PolicyOptions  # type: ignore[assignment]
    presets = load_presets("pretrain_rl")
    gradient_order = 1
    train_steps = 0

"""MAML with policy gradients: Finn, Abbeel & Levine, ICML 2017 (arXiv 1703.03400), Algorithm 3 and section 5.3."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mamlbench.api import Examples, Parameters, grad
from mamlbench_plugins.algorithms.policy_advantages import advantages_of
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.stochastic_policy import PolicyOptions, StochasticPolicy

SHIFT = 37
"""Steps that the noise of trajectories is moved by for every further inner step."""


class PolicyGradientOptions(PolicyOptions):
    """Options of MAML with policy gradients."""

    train_steps: int = Field(1, ge=0, description="inner steps in training; 0 is joint training on all tasks")


class MAMLRL(StochasticPolicy[PolicyGradientOptions]):
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
    gradient_order = 2

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
        return -(self.log_probability(theta, sampled) * advantages).sum() / sampled.running.sum()


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

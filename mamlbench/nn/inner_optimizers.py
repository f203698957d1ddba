"""Optimizers of inner loops, as pure functions: parameters, gradient and state in, parameters and state out.

Nothing is changed in place, so that a step can be vectorized over tasks and differentiated to any order::

    optimizer = InnerAdam(lr=1e-3, beta1=0)
    state = optimizer.init(theta)
    theta, state = optimizer.step(theta, gradient, state)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mamlbench.nn.parameters import Parameters

Rate = Parameters | Tensor | float
"""A learning rate: one number, a scalar tensor ``[]``, or Parameters with a rate for each tensor or element."""


class SGDState(NamedTuple):
    """State of ``InnerSGD``, by name and in the shapes of the parameters."""

    velocity: Parameters  # running mean of the gradients; empty without momentum
    steps: Tensor  # [] number of steps taken, in the parameters' dtype


class AdamState(NamedTuple):
    """State of ``InnerAdam``, by name and in the shapes of the parameters."""

    first: Parameters  # running mean of the gradients; empty if beta1 is 0
    second: Parameters  # running mean of the squared gradients
    steps: Tensor  # [] number of steps taken, in the parameters' dtype


@dataclass(frozen=True)
class InnerSGD:
    """Gradient descent with momentum, dampening and weight decay; the same steps as ``torch.optim.SGD``.

    Args:
        lr: learning rate; Parameters: one for each tensor or element.
        momentum: factor on the velocity in each step.
        dampening: share of the gradient that is not added to the velocity, except in the first step.
        weight_decay: factor on the parameters that is added to the gradient.
    """

    lr: Rate
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0

    def init(self, parameters: Parameters) -> SGDState:
        """The state before the first step on parameters of these names and shapes."""
        velocity = parameters.map(torch.zeros_like) if self.momentum else Parameters()
        return SGDState(velocity, _no_steps(parameters))

    def step(self, parameters: Parameters, gradient: Parameters, state: SGDState) -> tuple[Parameters, SGDState]:
        """One step against ``gradient``, which has the names and shapes of ``parameters``."""
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameters
        if not self.momentum:
            return parameters - self.lr * gradient, state._replace(steps=state.steps + 1)
        first_step = state.steps == 0  # not dampened
        running = self.momentum * state.velocity + (1 - self.dampening) * gradient
        velocity = Parameters({n: torch.where(first_step, gradient[n], v) for n, v in running.items()})
        return parameters - self.lr * velocity, SGDState(velocity, state.steps + 1)


@dataclass(frozen=True)
class InnerAdam:
    """Adam (Kingma & Ba, ICLR 2015, arXiv 1412.6980, Algorithm 1), the same steps as ``torch.optim.Adam``.

    Args:
        lr: learning rate; Parameters: one for each tensor or element.
        beta1: decay of the running mean of gradients; with 0 the gradient itself is used.
        beta2: decay of the running mean of squared gradients.
        epsilon: added to the root of that mean.
        differentiable: whether gradients may be taken through the steps, as second-order methods do; False saves an
            operation on every parameter.
    """

    lr: Rate
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    differentiable: bool = True

    def init(self, parameters: Parameters) -> AdamState:
        """The state before the first step on parameters of these names and shapes."""
        zeros = parameters.map(torch.zeros_like)
        return AdamState(zeros if self.beta1 else Parameters(), zeros, _no_steps(parameters))

    def step(self, parameters: Parameters, gradient: Parameters, state: AdamState) -> tuple[Parameters, AdamState]:
        """One step against ``gradient``, which has the names and shapes of ``parameters``."""
        steps = state.steps + 1
        correction = (1 - self.beta2**steps).sqrt()
        rate = self.lr / (1 - self.beta1**steps) if self.beta1 else self.lr
        first, second, theta = {}, {}, {}
        # Tensor by tensor, not operation by operation over all tensors: what was just computed is still in the cache.
        for name, g in gradient.items():
            first[name] = self.beta1 * state.first[name] + (1 - self.beta1) * g if self.beta1 else g
            second[name] = torch.addcmul(self.beta2 * state.second[name], g, g, value=1 - self.beta2)
            denominator = self._sqrt(second[name]) / correction + self.epsilon
            own_rate = rate[name] if isinstance(rate, dict) else rate
            theta[name] = _descend(parameters[name], own_rate, first[name], denominator)
        running = Parameters(first) if self.beta1 else Parameters()
        return Parameters(theta), AdamState(running, Parameters(second), steps)

    def _sqrt(self, value: Tensor) -> Tensor:
        return _differentiable_sqrt(value) if self.differentiable else value.sqrt()


def _descend(theta: Tensor, rate: Tensor | float, direction: Tensor, denominator: Tensor) -> Tensor:
    """``theta - rate * direction / denominator``, in one pass over the elements if the rate is a number."""
    if isinstance(rate, Tensor):
        return theta - rate * direction / denominator
    return torch.addcdiv(theta, direction, denominator, value=-rate)


def _differentiable_sqrt(value: Tensor) -> Tensor:
    """Square root whose derivative at 0 is 0, so that a weight without a gradient makes no second-order gradient NaN.

    It changes no step: the root of the smallest normal number is negligible against Adam's epsilon.
    """
    return value.clamp_min(torch.finfo(value.dtype).tiny).sqrt()


def _no_steps(parameters: Parameters) -> Tensor:
    return next(iter(parameters.values())).new_zeros(())

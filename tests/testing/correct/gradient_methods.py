"""Methods whose inner loop is not that of MAML: BOIL, CAVIA, first-order MAML with Adam, Converge."""

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

import mamlbench
from mamlbench.api import (
    AdamState,
    GradientBased,
    InnerAdam,
    OuterOptions,
    Parameters,
    grad,
    grad_and_value,
    seeded,
)


class BOIL(GradientBased):
    """MAML whose inner loop leaves the head alone, so that the representation has to change.

    Oh, Yoo, Kim & Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR 2021 (arXiv 2008.08882),
    section 3: the inner rate of the head is 0, and the outer loop learns body and head.
    """

    gradient_order = 2

    class Options(OuterOptions):
        """Options of BOIL."""

        inner_lr: float = Field(0.4, gt=0, description="inner learning rate α of the body")
        outer_lr: float = Field(3e-3, gt=0, description="outer learning rate at the first iteration")
        train_steps: int = Field(1, ge=0, description="inner steps in training")
        test_steps: int = Field(1, ge=0, description="inner steps in validation and test")

    def init(self, meta, support):
        return meta

    def step(self, state, support):
        """θ_body ← θ_body − α ∇θ_body L(support), θ_head as it is."""
        body = state.select(name for name in state if not name.startswith("head."))
        gradient = grad(lambda body: self.inner_loss(state | body, support))(body)
        return state | (body - self.options.inner_lr * gradient)

    def loss(self, state, query):
        return self.objective.loss(self.model(state, query.x), query.y)


class Contextual(NamedTuple):
    """One task of CAVIA."""

    theta: Parameters
    film: Tensor  # [2 * d, context]
    context: Tensor  # [context], what is adapted


class CAVIA(GradientBased):
    """Adapts a small context vector, which modulates the features through a learned layer.

    Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson, "Fast Context Adaptation via Meta-Learning", ICML 2019
    (arXiv 1810.03642), Algorithm 1:
      φ ← φ0 − α ∇φ L(f_{φ0, θ}; support), with φ0 = 0      ``step``
      θ ← θ − β ∇θ Σ L(f_{φ, θ}; query)                     ``loss``, differentiated by the engine
    The layer is FiLM (section 3.3; Perez et al. 2018): features z become (1 + γ) z + β, with (γ, β) linear in φ.
    """

    gradient_order = 2

    class Options(OuterOptions):
        """Options of CAVIA."""

        context: int = Field(50, ge=1, description="number of context parameters φ")
        inner_lr: float = Field(1.0, gt=0, description="inner learning rate α of the context parameters")
        outer_lr: float = Field(3e-3, gt=0, description="outer learning rate at the first iteration")
        train_steps: int = Field(2, ge=0, description="inner steps in training")
        test_steps: int = Field(2, ge=0, description="inner steps in validation and test")

    def initial_meta(self):
        """The network's parameters, and the weights of the layer that turns φ into γ and β."""
        theta = self.model.initial_parameters()
        d = self.model.network.head.in_features
        with seeded("film", self.context.seed):
            film = 0.1 * torch.randn(2 * d, self.options.context)
        return theta | {"film": film.to(next(iter(theta.values())))}

    def init(self, meta, support):
        film = meta["film"]
        return Contextual(meta.select(self.model.names), film, film.new_zeros(self.options.context))

    def step(self, state, support):
        """φ ← φ − α ∇φ L(support)."""
        slope = grad(lambda context: self.inner_loss(state._replace(context=context), support))(state.context)
        return state._replace(context=state.context - self.options.inner_lr * slope)

    def loss(self, state, query):
        features = self.model.features(state.theta, query.x)
        return self.objective.loss(self.outputs(state, features), query.y)

    def outputs(self, state, features):
        """Features ``[n, d]`` to outputs ``[n, outputs]``, modulated by the context."""
        gamma, beta = (state.film @ state.context).chunk(2)
        return self.model.head(state.theta, (1 + gamma) * features + beta)

    def parameters(self, state):
        return state.theta

    def predict(self, state, support_x, x, mode):
        return self.outputs(state, self.model.query_features(state.theta, support_x, x, mode))


class Moving(NamedTuple):
    """One task of first-order MAML with Adam."""

    theta: Parameters
    moments: AdamState


class FirstOrderAdam(GradientBased):
    """First-order MAML (Finn et al. 2017, arXiv 1703.03400, section 5.2) whose inner loop takes steps of Adam.

    Adam: Kingma & Ba, ICLR 2015 (arXiv 1412.6980), Algorithm 1; its moments are zero at the start of every task.
    """

    gradient_order = 1

    class Options(OuterOptions):
        """Options of first-order MAML with Adam."""

        inner_lr: float = Field(0.01, gt=0, description="rate of the inner Adam")
        outer_lr: float = Field(3e-3, gt=0, description="outer learning rate at the first iteration")
        train_steps: int = Field(5, ge=0, description="inner steps in training")
        test_steps: int = Field(10, ge=0, description="inner steps in validation and test")

    def __init__(self, context, options):
        super().__init__(context, options)
        self.adam = InnerAdam(options.inner_lr, differentiable=False)

    def init(self, meta, support):
        return Moving(meta, self.adam.init(meta))

    def step(self, state, support):
        gradient = grad(lambda theta: self.inner_loss(state._replace(theta=theta), support))(state.theta)
        return Moving(*self.adam.step(state.theta, gradient, state.moments))

    def loss(self, state, query):
        return self.objective.loss(self.model(state.theta, query.x), query.y)

    def parameters(self, state):
        return state.theta


class Converge(GradientBased):
    """First-order MAML whose inner loop goes on until the support loss is small.

    Finn et al. 2017 (arXiv 1703.03400), section 5.2, apart from the number of inner steps: it depends on the data of
    each task, so that tasks cannot be vectorized.
    """

    gradient_order, vectorized = 1, False
    train_steps, test_steps = 1, 1  # one ``step`` is the whole inner loop

    class Options(OuterOptions):
        """Options of Converge."""

        inner_lr: float = Field(0.4, gt=0, description="inner learning rate")
        enough: float = Field(0.5, gt=0, description="support loss at which the inner loop ends")
        most: int = Field(2, ge=1, description="largest number of inner steps")
        outer_lr: float = Field(3e-3, gt=0, description="outer learning rate at the first iteration")

    def init(self, meta, support):
        return meta

    def step(self, state, support):
        for _ in range(self.options.most):
            gradient, value = grad_and_value(self.inner_loss)(state, support)
            if value < self.options.enough:
                break
            state = state - self.options.inner_lr * gradient
        return state

    def loss(self, state, query):
        return self.objective.loss(self.model(state, query.x), query.y)


class ConvergeSecondOrder(Converge):
    """The same with the gradient through all inner steps that were taken."""

    gradient_order = 2


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("my-boil", BOIL, summary="MAML that adapts the body alone")
    register("my-cavia", CAVIA, summary="adapts context parameters alone")
    register("first-order-adam", FirstOrderAdam, summary="first-order MAML whose inner loop is Adam")
    register("converge", Converge, summary="inner steps until the support loss is small")
    register("converge-second-order", ConvergeSecondOrder, summary="the same, second order")

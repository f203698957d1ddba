"""Methods whose head is computed from the support set in closed form: cosine prototypes and R2D2."""

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

import mamlbench
from mamlbench.api import Classification, ConfigError, GradientBased, OuterOptions, Parameters


class ClosedForm(GradientBased):
    """A body that is learned, and a head that each support set determines; there are no inner steps."""

    gradient_order = None
    any_ways = equivariant = True

    def __init__(self, context, options):
        if not isinstance(context.objective, Classification):
            raise ConfigError(f"{type(self).__name__} is a method of classification: try maml.")
        super().__init__(context, options)

    def body(self):
        """The network's parameters before training, without its head, which is never used."""
        theta = self.model.initial_parameters()
        return theta.select(name for name in theta if not name.startswith("head."))

    def init(self, meta, support):
        """The head in training, where an episode has ways of its own."""
        return self.solve(meta, support, support.y.shape[0] // self.context.shots)

    def initial_state(self, support):
        return self.solve(self.meta, support, self.objective.outputs)

    def members(self, support, ways, like):
        """Which support example belongs to which class: ``[n, ways]`` of zeros and ones, in the dtype of ``like``."""
        return (support.y[:, None] == torch.arange(ways, device=support.y.device)).to(like)

    def step(self, state, support):
        """There are none."""
        return state

    def loss(self, state, query):
        features = self.model.features(state.theta, query.x)
        return self.objective.loss(self.outputs(state, features), query.y)

    def parameters(self, state):
        return state.theta

    def predict(self, state, support_x, x, mode):
        return self.outputs(state, self.model.query_features(state.theta, support_x, x, mode))


class Prototypes(NamedTuple):
    """One task of cosine prototypes."""

    theta: Parameters
    prototypes: Tensor  # [ways, d]
    log_temperature: Tensor  # []


class CosinePrototypes(ClosedForm):
    """Prototypes that are compared by their cosine, times a learned temperature τ.

    Chen, Liu, Xu, Darrell & Wang, "Meta-Baseline", ICCV 2021 (arXiv 2003.04390), equations 1 and 3:
      w_c ← mean of f(x) over the support examples of class c
      p(y = c | x) ∝ exp(τ cos(f(x), w_c))
    """

    class Options(OuterOptions):
        """Options of cosine prototypes."""

        temperature: float = Field(10.0, gt=0, description="factor τ on the cosines before training")
        outer_lr: float = Field(3e-3, gt=0, description="outer learning rate at the first iteration")

    def initial_meta(self):
        """The body, and log τ, so that τ stays positive wherever it is moved."""
        body = self.body()
        start = torch.tensor(self.options.temperature).log()
        return body | {"log_temperature": start.to(next(iter(body.values())))}

    def solve(self, meta, support, ways):
        features = self.model.features(meta, support.x)  # [n, d]
        members = self.members(support, ways, features)
        return Prototypes(meta, members.T @ features / members.sum(0)[:, None], meta["log_temperature"])

    def outputs(self, state, features):
        cosines = F.normalize(features, dim=-1) @ F.normalize(state.prototypes, dim=-1).T
        return state.log_temperature.exp() * cosines


class Ridge(NamedTuple):
    """One task of R2D2."""

    theta: Parameters
    weights: Tensor  # W, [d, ways]
    scale: Tensor  # α, []
    shift: Tensor  # β, []


class R2D2(ClosedForm):
    """Ridge regression from features to one-hot labels, solved in closed form and differentiated.

    Bertinetto, Henriques, Torr & Vedaldi, "Meta-learning with Differentiable Closed-form Solvers", ICLR 2019
    (arXiv 1805.08136), section 3.2, with Z the features of the support set ``[n, d]``:
      W = Zᵀ (Z Zᵀ + λ I)⁻¹ Y, by Woodbury's identity     (4), ``solve``
      outputs = α f(x) W + β                              (6), ``outputs``
    λ, α and β are learned.
    """

    class Options(OuterOptions):
        """Options of R2D2."""

        ridge: float = Field(1.0, gt=0, description="weight λ of the ridge before training")
        scale: float = Field(3.0, gt=0, description="factor α on the outputs before training")
        outer_lr: float = Field(3e-3, gt=0, description="outer learning rate at the first iteration")

    def initial_meta(self):
        body = self.body()
        start = next(iter(body.values())).new_tensor
        return body | {
            "log_ridge": start(self.options.ridge).log(),
            "scale": start(self.options.scale),
            "shift": start(0.0),
        }

    def solve(self, meta, support, ways):
        z = self.model.features(meta, support.x)  # [n, d]
        gram = z @ z.T + meta["log_ridge"].exp() * torch.eye(len(z), dtype=z.dtype, device=z.device)
        weights = z.T @ torch.linalg.solve(gram, self.members(support, ways, z))
        return Ridge(meta, weights, meta["scale"], meta["shift"])

    def outputs(self, state, features):
        return state.scale * (features @ state.weights) + state.shift


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("cosine-prototypes", CosinePrototypes, summary="prototypes compared by cosine")
    register("my-r2d2", R2D2, summary="ridge regression on the features")

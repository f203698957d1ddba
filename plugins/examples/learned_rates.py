"""MAML that also learns its inner rates, one per tensor: mamlbench run --plugin FILE --algo learned-rates."""

import torch
from pydantic import Field

import mamlbench
from mamlbench.api import GradientBased, OuterOptions, Parameters, grad


class LearnedRates(GradientBased):
    """Learns where the inner loop starts, θ, and how far it goes along each tensor, α."""

    gradient_order = 2

    class Options(OuterOptions):
        """What -o NAME=VALUE can set, beside the options of the outer optimizer."""

        first_rate: float = Field(0.4, gt=0, description="inner rate α of every tensor before training")
        train_steps: int = Field(1, ge=0, description="inner steps in training")
        test_steps: int = Field(3, ge=0, description="inner steps in validation and test")

    def initial_meta(self):
        """θ, and log α: the outer step may take it anywhere and α stays positive."""
        theta = self.model.initial_parameters()
        first = torch.full((len(theta),), self.options.first_rate).to(next(iter(theta.values())))
        return theta | {"log_rates": first.log()}

    def init(self, meta, support):
        """A task starts at θ; its state is θ' and α."""
        rates = zip(self.model.names, meta["log_rates"].exp(), strict=True)
        return meta.select(self.model.names), Parameters(rates)

    def step(self, state, support):
        """θ' = θ − α ∇L(θ), with a rate for each tensor."""
        theta, rates = state
        gradient = grad(lambda theta: self.inner_loss((theta, rates), support))(theta)
        return theta - rates * gradient, rates

    def loss(self, state, query):
        """The loss of the query set, which training lowers; the inner loss is the same of the support set."""
        return self.objective.loss(self.model(self.parameters(state), query.x), query.y)

    def parameters(self, state):
        """The network's parameters in a state."""
        return state[0]


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("learned-rates", LearnedRates, summary="MAML with a learned inner rate for each tensor")

"""MAML that also learns its inner rates, one per tensor: mamlbench run --plugin FILE --algo learned-rates."""

import torch
from pydantic import Field
from torch.func import grad

import mamlbench
from mamlbench.api import GradientBased, OuterOptions


class LearnedRates(GradientBased):
    """Learns where the inner loop starts, θ, and how far it goes along each tensor, α."""

    gradient_order = 2

    class Options(OuterOptions):
        """What -o NAME=VALUE can set, beside the options of the outer optimizer."""

        first_rate: float = Field(0.4, gt=0, description="inner rate α of every tensor before training")
        train_steps: int = Field(1, ge=0, description="inner steps in training")
        test_steps: int = Field(3, ge=0, description="inner steps in validation and test")

    def __init__(self, bench, options):
        super().__init__(bench, options)
        self.train_steps, self.test_steps = options.train_steps, options.test_steps

    def initial_meta(self):
        """θ, and log α: the outer step may take it anywhere and α stays positive."""
        theta = self.model.initial_parameters()
        first = torch.full((len(theta),), self.options.first_rate).to(next(iter(theta.values())))
        return {**theta, "log_rates": first.log()}

    def init(self, meta, support):
        """A task starts at θ, with the rates in its luggage."""
        return {name: meta[name] for name in meta if name != "log_rates"}, meta["log_rates"]

    def step(self, state, support):
        """θ' = θ − α ∇L(θ), tensor by tensor."""
        theta, log_rates = state
        slope = grad(lambda theta: self.loss((theta, log_rates), support))(theta)
        rates = dict(zip(theta, log_rates.exp(), strict=True))
        return {name: theta[name] - rates[name] * slope[name] for name in theta}, log_rates

    def loss(self, state, query):
        """The loss of a set of examples; on the query set it is what the outer step lowers."""
        return self.objective.loss(self.model(self.parameters(state), query.x), query.y)

    def parameters(self, state):
        """The part of a state that the network takes."""
        return state[0]


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("learned-rates", LearnedRates, summary="MAML with a learned inner rate for each tensor")

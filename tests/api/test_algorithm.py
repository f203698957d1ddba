"""What the bases of methods do for those who derive from them."""

import pytest
from pydantic import Field

from mamlbench.api import GradientBased, OuterOptions


class Steps(OuterOptions):
    train_steps: int = Field(3, description="inner steps in training")


class Method(GradientBased):
    """Takes no inner step of its own."""

    def init(self, meta, support):
        return meta

    def step(self, state, support):
        return state

    def loss(self, state, query):
        return self.objective.loss(self.model(state, query.x), query.y)


class WithOptions(Method):
    Options = Steps


class WithAttributes(Method):
    train_steps, test_steps = 2, 5


class WithBoth(WithAttributes):
    Options = Steps


@pytest.mark.parametrize(
    "method, steps", [(Method, (0, 0)), (WithOptions, (3, 0)), (WithAttributes, (2, 5)), (WithBoth, (3, 5))]
)
def test_inner_steps_are_those_of_the_options_or_of_the_class(method, steps, make_algorithm):
    context = make_algorithm("maml").context
    built = method(context, method.Options())
    assert (built.train_steps, built.test_steps) == steps

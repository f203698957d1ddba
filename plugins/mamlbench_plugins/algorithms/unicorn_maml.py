"""UNICORN-MAML: Ye & Chao, "How to Train Your MAML to Excel in Few-Shot Classification", arXiv 2106.16245."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import Classification, Examples, IntRange, LogUniform, MethodContext, OuterOptions, Parameters
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.algorithms.presets import load_presets


class UnicornMAMLOptions(OuterOptions):
    """Options of UNICORN-MAML."""

    inner_lr: Annotated[float, LogUniform(0.03, 2.0)] = Field(
        0.4, gt=0, description="inner learning rate α, on the mean loss"
    )
    train_steps: int = Field(5, ge=0, description="inner steps in training; 0 is joint training on all tasks")
    test_steps: Annotated[int, IntRange(1, 10)] = Field(5, ge=0, description="inner steps in validation and test")
    adapt_norm: bool = Field(False, description="adapt the batch-norm parameters in the inner loop too")
    temperature: Annotated[float, LogUniform(0.1, 10.0)] = Field(
        1.0, gt=0, description="divides the outputs in the outer loss (0.5 in the authors' code)"
    )


class UnicornMAML(MAML):
    """First-order MAML with one classifier vector w that every class starts from: permuted classes permute outputs.

    With θ = (φ, w), section 5:
      w_1 = ... = w_N = w                                      the head before the first step    ``init``
      φ', w_c' by gradient steps on L(support)                 as in MAML                         ``step``
      update φ by ∇φ' L(query), w by Σ_c ∇w_c' L(query)         first order, as in the authors' code   by the engine
    """

    Options = UnicornMAMLOptions  # type: ignore[assignment]
    options: Any
    presets = load_presets("unicorn_maml")
    gradient_order = 1
    any_ways = True
    equivariant = True

    def __init__(self, context: MethodContext, options: UnicornMAMLOptions) -> None:
        if not isinstance(context.objective, Classification):
            raise ConfigError("UNICORN-MAML is a method of classification: it cannot be run on regression; try maml.")
        super().__init__(context, options)  # type: ignore[arg-type]
        if type(self.model.network.head) is not nn.Linear:
            raise ConfigError("the head of the backbone must be one linear layer: UNICORN-MAML puts its own there.")

    def initial_meta(self) -> Parameters:
        """φ, and w and its bias: the first row of the backbone's head."""
        theta = self.model.initial_parameters()
        return theta | {name: theta[name][:1].clone() for name in theta if name.startswith("head.")}

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """Every class starts at w, in training, where an episode has ways of its own."""
        return self._shared(meta, len(support.y) // self.context.shots)

    def initial_state(self, support: Examples) -> Parameters:
        """Every class starts at w, at test time."""
        return self._shared(self.meta, self.objective.outputs)

    def inner_loss(self, state: Parameters, support: Examples) -> Tensor:
        """L(support), the mean over its examples: a scalar."""
        return self.objective.loss(self.model(state, support.x), support.y)

    def loss(self, state: Parameters, query: Examples) -> Tensor:
        """L(query) of the outputs by the temperature, the mean over its examples: a scalar."""
        return self.objective.loss(self.model(state, query.x) / self.options.temperature, query.y)

    def _shared(self, meta: Parameters, ways: int) -> Parameters:
        head = {name: meta[name].expand(ways, *meta[name].shape[1:]) for name in meta if name.startswith("head.")}
        return meta | head

"""Proto-MAML: Triantafillou et al., "Meta-Dataset", ICLR 2020 (arXiv 1903.03096), section 3."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import Classification, Examples, IntRange, LogUniform, MethodContext, OuterOptions, Parameters
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.protonet import prototype_head


class ProtoMAMLOptions(OuterOptions):
    """Options of Proto-MAML."""

    inner_lr: Annotated[float, LogUniform(0.01, 1.0)] = Field(
        0.1, gt=0, description="inner learning rate α, on the mean loss"
    )
    train_steps: int = Field(5, ge=0, description="inner steps in training; 0 is a prototypical network")
    test_steps: Annotated[int, IntRange(1, 10)] = Field(5, ge=0, description="inner steps in validation and test")
    adapt_norm: bool = Field(False, description="adapt the batch-norm parameters in the inner loop too")


class ProtoMAML(MAML):
    """MAML whose head starts, for each task, from that of a prototypical network: any number of ways.

    With c_k the mean of fθ(x) over the support examples of class k:
      W_k = 2 c_k,  b_k = −‖c_k‖²                        the head before the first step   ``init``
      θ', W', b' by gradient steps on L(support)         as in MAML                        ``step``
      update θ by the gradient of L(query)               through the prototypes too        ``loss``
    """

    Options = ProtoMAMLOptions  # type: ignore[assignment]
    presets = load_presets("proto_maml")
    gradient_order = 2
    any_ways = True
    equivariant = True

    def __init__(self, context: MethodContext, options: ProtoMAMLOptions) -> None:
        if not isinstance(context.objective, Classification):
            raise ConfigError("Proto-MAML is a method of classification: it cannot be run on regression; try maml.")
        super().__init__(context, options)  # type: ignore[arg-type]
        if type(self.model.network.head) is not nn.Linear:
            raise ConfigError(
                "the head of the backbone must be one linear layer: Proto-MAML puts the prototypes there."
            )

    def initial_meta(self) -> Parameters:
        """θ: all but the head."""
        theta = self.model.initial_parameters()
        return theta.select(name for name in theta if not name.startswith("head."))

    def init(self, meta: Parameters, support: Examples) -> Parameters:
        """The prototypes as the head, in training, where an episode has ways of its own."""
        return self._with_prototypes(meta, support, len(support.y) // self.context.shots)

    def initial_state(self, support: Examples) -> Parameters:
        """The prototypes as the head, at test time."""
        return self._with_prototypes(self.meta, support, self.objective.outputs)

    def inner_loss(self, state: Parameters, support: Examples) -> Tensor:
        """L(support), the mean over its examples: a scalar."""
        return self.objective.loss(self.model(state, support.x), support.y)

    def loss(self, state: Parameters, query: Examples) -> Tensor:
        """L(query), the mean over its examples: a scalar."""
        return self.objective.loss(self.model(state, query.x), query.y)

    def _with_prototypes(self, meta: Parameters, support: Examples, ways: int) -> Parameters:
        return meta | prototype_head(self.model.features(meta, support.x), support.y, ways)

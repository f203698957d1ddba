"""Algorithms that earn a wrong score without an error: labels leak, gradients are cut, signs and seeds are wrong.

- a predict by the query's position: KnowsTheOrder
- support and query mixed in the training inner loop: AdaptsToTheQueries
- a second inner step that is detached: DetachesTheSecondStep
- Python's ``hash``: HashesNames
- a summed loss: SumsTheLoss
- extra networks that start alike for all seeds: ExtraNetworkAlikeForAllSeeds, CriticAlikeForAllSeeds
- a wrong sign in ``apply``: ClimbsInOneLayer, ReptileTheOtherWay
"""

import torch

from mamlbench.api import Examples
from mamlbench_plugins.algorithms.fomaml import FOMAML
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.algorithms.reptile import Reptile

from .registry import caught_by


@caught_by("gradient order is correct")
class DetachesTheSecondStep(MAML):
    """One inner step, the default, does not show it."""

    first = True

    def init(self, meta, support):
        self.first = True
        return super().init(meta, support)

    def step(self, state, support):
        state = super().step(state, support)
        state, self.first = (state if self.first else state.map(torch.Tensor.detach)), False
        return state


@caught_by("permuted queries permute outputs")
class KnowsTheOrder(FOMAML):
    """Queries lie class after class, so their places give their labels away."""

    def predict(self, state, support_x, x, mode):
        outputs = super().predict(state, support_x, x, mode)
        ways = outputs.shape[-1]
        return outputs + 100 * torch.eye(ways, dtype=x.dtype).repeat_interleave(len(x) // ways, 0)


@caught_by("training adapts to the support set alone")
class AdaptsToTheQueries(FOMAML):
    def compute_update(self, batch):
        both = Examples(*(torch.cat(pair, 1) for pair in zip(batch.support, batch.query, strict=True)))
        return super().compute_update(batch._replace(support=both))


@caught_by("losses are means")
class SumsTheLoss(FOMAML):
    def loss(self, state, query):
        return len(query.y) * super().loss(state, query)


@caught_by("steps descend")
class ClimbsInOneLayer(FOMAML):
    def apply(self, update):
        last = list(update.sums)[-1]
        super().apply(update._replace(sums={**update.sums, last: -update.sums[last]}))


@caught_by("every network depends on the seed")
class StartsAlikeForAllSeeds(FOMAML):
    def initial_meta(self):
        generator = torch.Generator().manual_seed(0)
        first, *others = super().initial_meta().items()
        return {first[0]: torch.randn(first[1].shape, generator=generator, dtype=first[1].dtype), **dict(others)}


@caught_by("every network depends on the seed")
class ExtraNetworkAlikeForAllSeeds(FOMAML):
    """A learned shift of the outputs, from a generator of its own."""

    def initial_meta(self):
        theta = super().initial_meta()
        shift = torch.randn(self.objective.outputs, generator=torch.Generator().manual_seed(0))
        return theta | {"shift": shift.to(next(iter(theta.values())))}

    def init(self, meta, support):
        return meta

    def step(self, state, support):
        theta = super().step(state.select(self.model.names), support)
        return state | theta

    def inner_loss(self, state, support):
        return self.objective.loss(self.model(state.select(self.model.names), support.x), support.y)

    def loss(self, state, query):
        outputs = self.model(state.select(self.model.names), query.x)
        return self.objective.loss(outputs + state["shift"], query.y)

    def parameters(self, state):
        return state.select(self.model.names)


@caught_by("every network depends on the seed")
class CriticAlikeForAllSeeds(FOMAML):
    """A network beside ``meta``, which its state names."""

    def __init__(self, context, options):
        super().__init__(context, options)
        self.critic = torch.randn(8, generator=torch.Generator().manual_seed(0))

    def state(self):
        return super().state() | {"critic": self.critic}

    def load_state(self, state):
        self.critic = state["critic"]
        super().load_state(state)


@caught_by("training improves the score")
class ReptileTheOtherWay(Reptile):
    """Without a gradient that it could be compared with."""

    def apply(self, update):
        super().apply(update._replace(sums={name: -value for name, value in update.sums.items()}))


@caught_by("nothing depends on pythons hash")
class HashesNames(FOMAML):
    def initial_meta(self):
        return {name: value + hash(name) % 2 for name, value in super().initial_meta().items()}

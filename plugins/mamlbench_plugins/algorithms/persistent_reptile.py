"""Reptile as its authors' code runs it (openai/supervised-reptile): Adam's moments run on from task to task."""

from __future__ import annotations

from torch import Tensor

from mamlbench.api import (
    AdamState,
    EpisodeBatch,
    Examples,
    MethodContext,
    OuterUpdate,
    Parameters,
    prefixed,
    tree_map,
    unprefixed,
)
from mamlbench_plugins.algorithms.reptile import Reptile, ReptileOptions, ReptileState


class PersistentReptile(Reptile):
    """Reptile in which φ alone is put back between tasks; the moments and the step count of Adam are not.

    So the tasks of a batch follow one another, and the next batch begins where this one ends: with
    ``inner_optimizer_state=persistent``. Evaluation starts every task from the moments that training ended with.
    """

    additive = False

    def __init__(self, context: MethodContext, options: ReptileOptions) -> None:
        super().__init__(context, options)
        self.moments = self.optimizer.init(self.meta)

    def init(self, meta: Parameters, support: Examples) -> ReptileState:
        """φ~ starts at φ, Adam where training left it."""
        return super().init(meta, support)._replace(moments=self.moments)

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        """Lines 4 and 5 of Algorithm 1, one task after the other; the last one's moments are carried on."""
        moments, updates = self.moments, []
        for index in range(batch.tasks):
            task: EpisodeBatch = tree_map(lambda leaf, i=index: leaf[i : i + 1], batch)
            state = self.init(self.meta, task.support)._replace(moments=moments)
            for number in range(self.options.train_steps):
                support = self.minibatch(task.support, task.keys, number, training=True)
                state = self.step(state, Examples(support.x[0], support.y[0]))
            moments = state.moments
            updates.append(OuterUpdate(state.phi - self.meta, state.loss, 1, carry=moments))
        return sum(updates[1:], updates[0])

    def apply(self, update: OuterUpdate) -> None:
        super().apply(update)
        self.moments = update.carry

    def state(self) -> dict[str, Tensor]:
        return {**super().state(), **prefixed("second", self.moments.second), "steps": self.moments.steps}

    def load_state(self, state: dict[str, Tensor]) -> None:
        super().load_state(state)
        second = unprefixed("second", state).map(Tensor.clone)
        self.moments = AdamState(Parameters(), second, state["steps"].clone())

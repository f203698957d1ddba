"""All tasks at once (or in chunks), with ``torch.func.vmap``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils import _pytree as pytree

from mamlbench.api import (
    Engine,
    EpisodeBatch,
    Examples,
    MetaLearned,
    Parameters,
    grad_and_value,
    maps_together,
    pull_back,
)
from mamlbench.engine.one_task import Differentiation, inner_loop, outer_loss, task_gradient


class VmapEngine(Engine):
    """Vectorises over tasks.

    Args:
        chunk: tasks at a time; 0 means all of them.
        differentiation: how a second-order gradient is computed (``one_task.Differentiation``).
    """

    def __init__(self, chunk: int = 0, differentiation: Differentiation = "stored") -> None:
        self.chunk = chunk
        self.differentiation = differentiation
        self.name = (f"vmap[{chunk}]" if chunk else "vmap") + ("" if differentiation == "stored" else "+recomputed")

    def map(self, function: Callable[..., Any], *tasks: Any) -> Any:
        with torch.no_grad():
            parts = [vmap(function, randomness="error")(*part) for part in self._chunks(tasks)]
            return parts[0] if len(parts) == 1 else pytree.tree_map(lambda *each: torch.cat(each), *parts)

    def meta_gradient(
        self, method: MetaLearned, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        total: Any = None
        # first order is differentiated once; recomputed takes the second derivative by forward mode
        twice = method.gradient_order != 1 and self.differentiation == "stored"
        with torch.no_grad(), maps_together(min(self.chunk or batch.tasks, batch.tasks) if twice else 1):
            for chunk in self._chunks(batch):
                part = self.chunk_gradient(method, meta, chunk, steps)
                total = part if total is None else pytree.tree_map(torch.add, total, part)
        return total  # type: ignore[no-any-return]

    def chunk_gradient(
        self, method: MetaLearned, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        """Gradient and loss, summed over tasks that are computed together."""
        if method.gradient_order == 1:
            return self._first_order(method, meta, batch, steps)
        if self.differentiation == "stored":
            return self._of_the_sum(method, meta, batch, steps)
        gradient = task_gradient(method, self.differentiation)
        gradients, losses = vmap(lambda support, query: gradient(method, meta, support, query, steps))(
            batch.support, batch.query
        )  # each [T, ...]
        return {name: value.sum(0) for name, value in gradients.items()}, losses.sum()

    def _of_the_sum(
        self, method: MetaLearned, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        """Differentiate the sum of the losses: no gradient per task is ever held."""

        def total(meta: Parameters) -> Tensor:
            # meta is closed over, not mapped: the first inner step has the same weights for all tasks
            losses = vmap(lambda support, query: outer_loss(method, meta, support, query, steps))(
                batch.support, batch.query
            )  # [T]
            return losses.sum()

        return grad_and_value(total)(meta)

    def _first_order(
        self, method: MetaLearned, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        """Differentiate the sum of the query losses at all adapted states, and pull that back through ``init``."""
        meta = dict(meta)  # as in ``first_order_gradient``

        def adapted(support: Examples) -> Any:
            return inner_loop(method, method.init(meta, support), support, steps)

        def starts(meta: Parameters) -> Any:
            return vmap(lambda support: method.init(meta, support))(batch.support)

        gradient, loss = grad_and_value(lambda states: vmap(method.loss)(states, batch.query).sum())(
            vmap(adapted)(batch.support)
        )  # each [T, ...]
        return pull_back(starts, meta, gradient), loss

    def _chunks(self, tasks: Any) -> Iterator[Any]:
        total = pytree.tree_leaves(tasks)[0].shape[0]
        size = self.chunk or total
        for start in range(0, total, size):
            yield tasks if size >= total else pytree.tree_map(lambda leaf, s=start: leaf[s : s + size], tasks)

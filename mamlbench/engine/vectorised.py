"""All tasks at once (or in chunks), with ``torch.func.vmap``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils import _pytree as pytree

from mamlbench.api import Engine, EpisodeBatch, MetaLearned, Parameters
from mamlbench.engine.one_task import first_order_gradient, outer_loss


class VmapEngine(Engine):
    """Vectorises over ``chunk`` tasks at a time; 0 means all of them."""

    def __init__(self, chunk: int = 0) -> None:
        self.chunk = chunk
        self.name = f"vmap[{chunk}]" if chunk else "vmap"

    def map(self, function: Callable[..., Any], *tasks: Any) -> Any:
        with torch.no_grad():
            parts = [vmap(function, randomness="error")(*part) for part in self._chunks(tasks)]
            return parts[0] if len(parts) == 1 else pytree.tree_map(lambda *each: torch.cat(each), *parts)

    def meta_gradient(
        self, method: MetaLearned, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        one_chunk = self._first_order if method.gradient_order == 1 else self._second_order
        with torch.no_grad():
            parts = [one_chunk(method, meta, part, steps) for part in self._chunks(batch)]
        return pytree.tree_map(lambda *each: sum(each[1:], each[0]), *parts)  # type: ignore[no-any-return]

    def _second_order(
        self, method: MetaLearned, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
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
        gradients, losses = vmap(lambda support, query: first_order_gradient(method, meta, support, query, steps))(
            batch.support, batch.query
        )  # each [T, ...]
        return {name: value.sum(0) for name, value in gradients.items()}, losses.sum()

    def _chunks(self, tasks: Any) -> Iterator[Any]:
        total = pytree.tree_leaves(tasks)[0].shape[0]
        size = self.chunk or total
        for start in range(0, total, size):
            yield tasks if size >= total else pytree.tree_map(lambda leaf, s=start: leaf[s : s + size], tasks)

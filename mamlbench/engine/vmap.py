"""All tasks together, or chunk by chunk, with ``torch.func.vmap``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils import _pytree as pytree

from mamlbench.api import Engine, EpisodeBatch, InnerLoopMethod, Parameters, tree_map
from mamlbench.engine.meta_gradients import Differentiation, meta_gradient
from mamlbench.nn.torch_grad import route_torch_grad


class VmapEngine(Engine):
    """Vectorizes over tasks.

    Args:
        chunk: tasks at a time; 0 means all of them.
        differentiation: how a second-order gradient is computed (``meta_gradients.Differentiation``).
    """

    def __init__(self, chunk: int = 0, differentiation: Differentiation = "stored") -> None:
        self.chunk = chunk
        self.differentiation = differentiation
        self.name = (f"vmap[{chunk}]" if chunk else "vmap") + ("" if differentiation == "stored" else "+remat")

    def map(self, function: Callable[..., Any], *tasks: Any) -> Any:
        with torch.no_grad(), route_torch_grad():
            parts = [_vmap(function, part) for part in self._chunks(tasks)]
            return parts[0] if len(parts) == 1 else tree_map(lambda *chunks: torch.cat(chunks), *parts)

    def meta_gradient(
        self, method: InnerLoopMethod, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        total: Any = None
        # with remat, hand-written derivatives were measured to save nothing: each step is differentiated on its own
        second_order = method.gradient_order != 1 and self.differentiation == "stored"
        with torch.no_grad(), self._order(second_order=second_order):
            for chunk in self._chunks(batch):
                part = self.chunk_gradient(method, meta, chunk, steps)
                total = part if total is None else pytree.tree_map(torch.add, total, part)
        return total  # type: ignore[no-any-return]

    def chunk_gradient(
        self, method: InnerLoopMethod, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        """Gradient and loss, summed over the tasks of one chunk."""
        # here and not in ``meta_gradient``: CompiledEngine overrides this method, since torch.compile cannot trace the
        # replaced torch.func.grad
        with route_torch_grad():
            return self.traceable_gradient(method, meta, batch, steps)

    def traceable_gradient(
        self, method: InnerLoopMethod, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        """``chunk_gradient`` without the replaced ``torch.func.grad``, so that torch.compile can trace it."""
        gradient = meta_gradient(method, self.differentiation)
        return gradient(method, meta, batch.support, batch.query, steps, over_tasks=vmap)

    @contextmanager
    def _order(self, *, second_order: bool) -> Iterator[None]:
        """Set ``second_order``, which models built for this engine read, and reset it, also after an error."""
        before, self.second_order = self.second_order, second_order
        try:
            yield
        finally:
            self.second_order = before

    def _chunks(self, tasks: Any) -> Iterator[Any]:
        total = pytree.tree_leaves(tasks)[0].shape[0]
        size = self.chunk or total
        for start in range(0, total, size):
            yield tasks if size >= total else tree_map(lambda leaf, s=start: leaf[s : s + size], tasks)


def _vmap(function: Callable[..., Any], tasks: tuple[Any, ...]) -> Any:
    """Map ``function`` over all tasks; an optional field that is None is passed on as None."""
    dimensions = pytree.tree_map(lambda leaf: None if leaf is None else 0, tasks)
    return vmap(function, in_dims=dimensions, randomness="error")(*tasks)

"""One task after the other: the reference for every other engine, and the fallback if vmap cannot run a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.api import Engine, EpisodeBatch, InnerLoopMethod, Parameters, tree_map
from mamlbench.engine.meta_gradients import Differentiation, meta_gradient
from mamlbench.nn.torch_grad import route_torch_grad


class LoopEngine(Engine):
    """Computes one task at a time.

    Args:
        differentiation: how a second-order gradient is computed (``meta_gradients.Differentiation``).
        plain: whether networks stay as their author wrote them, without fusion, as in the reference of every check.
    """

    def __init__(self, differentiation: Differentiation = "stored", *, plain: bool = False) -> None:
        self.differentiation = differentiation
        self.plain = plain
        self.name = "loop" if differentiation == "stored" else f"loop+{differentiation}"

    def map(self, function: Callable[..., Any], *tasks: Any) -> Any:
        with torch.no_grad(), route_torch_grad():
            results = [function(*_task(tasks, index)) for index in range(_count(tasks))]
            return tree_map(lambda *outputs: torch.stack(outputs), *results)

    def meta_gradient(
        self, method: InnerLoopMethod, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        gradient = meta_gradient(method, self.differentiation)
        total: Any = None
        with torch.no_grad(), route_torch_grad():
            for index in range(batch.tasks):
                support, query = _task((batch.support, batch.query), index)
                part = gradient(method, meta, support, query, steps)
                total = part if total is None else pytree.tree_map(torch.add, total, part)
        return total  # type: ignore[no-any-return]


def _task(tasks: Any, index: int) -> Any:
    return tree_map(lambda leaf: leaf[index], tasks)


def _count(tasks: Any) -> int:
    return int(pytree.tree_leaves(tasks)[0].shape[0])

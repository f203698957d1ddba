"""One task after the other: the reference for every other strategy, and the way out for what vmap refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value
from torch.utils import _pytree as pytree

from mamlbench.api import Engine, EpisodeBatch, MetaLearned, Parameters
from mamlbench.engine.one_task import first_order_gradient, outer_loss


class LoopEngine(Engine):
    """Takes one task at a time."""

    name = "loop"

    def map(self, function: Callable[..., Any], *tasks: Any) -> Any:
        with torch.no_grad():
            results = [function(*_task(tasks, index)) for index in range(_count(tasks))]
            return pytree.tree_map(lambda *each: torch.stack(each), *results)

    def meta_gradient(
        self, method: MetaLearned, meta: Parameters, batch: EpisodeBatch, steps: int
    ) -> tuple[Parameters, Tensor]:
        parts = []
        with torch.no_grad():
            for index in range(batch.tasks):
                support, query = _task((batch.support, batch.query), index)
                if method.gradient_order == 1:
                    parts.append(first_order_gradient(method, meta, support, query, steps))
                else:
                    parts.append(grad_and_value(lambda m, s=support, q=query: outer_loss(method, m, s, q, steps))(meta))
            return pytree.tree_map(lambda *each: sum(each[1:], each[0]), *parts)  # type: ignore[no-any-return]


def _task(tasks: Any, index: int) -> Any:
    return pytree.tree_map(lambda leaf: leaf[index], tasks)


def _count(tasks: Any) -> int:
    return int(pytree.tree_leaves(tasks)[0].shape[0])

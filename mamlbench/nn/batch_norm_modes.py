"""How batch norm sees the query examples of a task at test time: one branch for each mode.

The names of the modes are ``mamlbench.run_spec.Mode``; docs/explanation.md, 'Modes of evaluation', compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.func import vmap

from mamlbench.nn.batch_norm import BatchStats, replay_statistics
from mamlbench.run_spec import Mode

Forward = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""Parameters by name and examples ``[n, *input_shape]`` to outputs or features ``[n, d]``."""


def forward_in_mode(
    mode: Mode,
    forward: Forward,
    parameters: Mapping[str, Tensor],
    support_x: Tensor,
    x: Tensor,
    *,
    statistics: Callable[[Mapping[str, Tensor], Tensor], BatchStats],
) -> Tensor:
    """Outputs of query examples of ONE task, ``[n, *input_shape]`` to ``[n, d]``.

    Args:
        mode: how batch norm sees the query examples.
        forward: what is computed: the network, or a part of it.
        parameters: those of the adapted task, by name.
        support_x: the task's support examples ``[k, *input_shape]``.
        x: query examples ``[n, *input_shape]``.
        statistics: what each batch-norm layer normalizes examples by (``Model.statistics``).
    """
    if mode == "transductive":  # all queries are normalized together, so that they influence each other
        return forward(parameters, x)
    if mode == "inductive":  # the statistics are those of the support set: no query influences another
        with replay_statistics(statistics(parameters, support_x)):
            return forward(parameters, x)
    # support+query: one batch for each query, made of the support set and that query alone
    return vmap(lambda query: forward(parameters, torch.cat([support_x, query[None]]))[-1])(x)

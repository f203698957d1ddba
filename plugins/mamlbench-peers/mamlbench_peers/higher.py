"""higher: Grefenstette et al. 2019 (arXiv 1910.01727)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch

from mamlbench.api import Peer, PeerWork


class Higher(Peer):
    """The loop of its MAML example: a differentiable optimizer in a context, one task after the other."""

    package = "higher"
    call = "innerloop_ctx with torch.optim.SGD, backward() for each task"

    def iteration(self, work: PeerWork) -> Callable[[], None]:
        higher = importlib.import_module("higher")
        inner = torch.optim.SGD(work.network.parameters(), lr=work.inner_lr)

        def iteration() -> None:
            work.network.zero_grad()
            for task in range(work.batch.tasks):
                support, query = ((part.x[task], part.y[task]) for part in (work.batch.support, work.batch.query))
                context = higher.innerloop_ctx(
                    work.network, inner, copy_initial_weights=False, track_higher_grads=not work.first_order
                )
                with context as (learner, descend):
                    for _ in range(work.steps):
                        descend.step(work.loss(learner(support[0]), support[1]))
                    if work.first_order:  # the example's own way: the gradient at the adapted parameters
                        adapted = list(learner.parameters())
                        gradients = torch.autograd.grad(work.loss(learner(query[0]), query[1]), adapted)
                        for parameter, gradient in zip(work.network.parameters(), gradients, strict=True):
                            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
                    else:
                        work.loss(learner(query[0]), query[1]).backward()  # type: ignore[no-untyped-call]

        return iteration

"""iteryne: https://github.com/wonderwice/iteryne."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from mamlbench.api import Peer, PeerWork


class Iteryne(Peer):
    """The loop of its documentation: clone, adapt, backward, one task after the other."""

    package = "iteryne"
    call = "MAML: clone(), adapt_on() and backward() for each task"

    def iteration(self, work: PeerWork) -> Callable[[], None]:
        maml = importlib.import_module("iteryne").MAML(
            work.network, inner_lr=work.inner_lr, inner_steps=work.steps, first_order=work.first_order
        )

        def iteration() -> None:
            maml.zero_grad()
            for task in range(work.batch.tasks):
                support, query = ((part.x[task], part.y[task]) for part in (work.batch.support, work.batch.query))
                learner = maml.clone().adapt_on(work.loss, *support)
                work.loss(learner(query[0]), query[1]).backward()  # type: ignore[no-untyped-call]

        return iteration

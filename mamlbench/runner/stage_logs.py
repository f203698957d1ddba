"""Logs the stages of a run, as its events pass by; ``-v`` and ``--log-file`` show them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from mamlbench.api import Emit
from mamlbench.run_spec import RunSpec

LOG = logging.getLogger(__name__)


def logged(emit: Emit) -> Emit:
    """Return an ``Emit`` that logs the stage that an event begins or ends, and passes the event on."""

    def log_and_emit(hook: str, **arguments: Any) -> None:
        sentence = _SENTENCES.get(hook)
        if sentence is not None and LOG.isEnabledFor(logging.INFO):
            LOG.info("%s: %s.", _title(arguments["spec"]), sentence(arguments))
        emit(hook, **arguments)

    return log_and_emit


def _title(spec: RunSpec) -> str:
    return f"{spec.algorithm.name} on {spec.dataset.name}, seed {spec.seed}"


def _scores(event: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name} {value:.4g}" for name, value in event["metrics"].items())
    return f"{'validation' if event['split'] == 'val' else event['split']} after {event['step']} iterations: {values}"


_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "mamlbench_run_started": lambda event: f"begins, spec {event['spec'].hash}, preparing data",
    "mamlbench_trying_engine": lambda event: f"trying engine {event['engine']}",
    "mamlbench_evaluated": _scores,
    "mamlbench_notice": lambda event: str(event["text"]).rstrip("."),
}
"""What is logged of an event."""

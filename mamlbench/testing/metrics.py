"""The contract of a metric."""

from __future__ import annotations

from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from mamlbench.api import Metric
from mamlbench.objectives import TaskKind
from mamlbench.testing.checks import Check, ensure
from mamlbench.testing.tensor_comparison import distance, same

EPISODES, WAYS = 8, 4
TOLERANCE = 1e-5
"""Difference in float32 that the order of summation may cause."""
CONFIDENT = 20.0
"""Logit of the right class in perfect predictions."""


class MetricSubject:
    """Makes predictions to score with a metric.

    Args:
        plugin: the class under test.
    """

    def __init__(self, plugin: type[Metric]) -> None:
        self.plugin = plugin

    def targets(self, queries: int = 3, ways: int = WAYS, episodes: int = EPISODES) -> Tensor:
        """Return labels int64 ``[episodes, ways * queries]``, or targets ``[episodes, ways * queries, 2]``."""
        if self.plugin.kind != "classification":
            targets = torch.randn(episodes, ways * queries, 2, generator=_generator(1))
            return targets if self.plugin.kind == "regression" else (targets > 0).to(targets)
        return torch.arange(ways).repeat_interleave(queries).repeat(episodes, 1)

    def random(self, y: Tensor, ways: int = WAYS, seed: int = 2) -> Tensor:
        """Return outputs ``[T, n, outputs]`` that are independent of the targets."""
        outputs = ways if self.plugin.kind == "classification" else y.shape[-1]
        return torch.randn(*y.shape[:2], outputs, generator=_generator(seed))

    def perfect(self, y: Tensor, ways: int = WAYS) -> Tensor:
        """Return outputs ``[T, n, outputs]`` that are correct with high confidence."""
        if self.plugin.kind == "classification":
            return CONFIDENT * F.one_hot(y, ways).float()
        if self.plugin.kind == "reinforcement":  # outputs are returns
            return torch.full_like(y, CONFIDENT)
        return y.clone() if self.plugin.kind == "regression" else CONFIDENT * (2 * y - 1)

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return scores ``[T]``. The arguments are copied: only one check tests whether a metric changes them."""
        return self.plugin().compute(outputs.clone(), y.clone())


def can_be_computed(subject: MetricSubject) -> None:
    """It can be made without arguments, and computes scores of random outputs."""
    y = subject.targets()
    subject.compute(subject.random(y), y)


def declarations(subject: MetricSubject) -> None:
    """name and unit are strings, higher_is_better a bool; kind is one of ``TaskKind``."""
    for attribute, types in (("name", str), ("unit", str), ("higher_is_better", bool)):
        value = getattr(subject.plugin, attribute, None)
        ensure(isinstance(value, types), f"{attribute} is {value!r}")
    ensure(bool(subject.plugin.name.strip()), "name is empty")
    ensure(subject.plugin.kind in get_args(TaskKind), f"kind is {subject.plugin.kind!r}")


def one_finite_score_per_episode(subject: MetricSubject) -> None:
    """compute returns one finite floating-point score per episode, for any number of episodes, ways and queries."""
    for episodes, ways, queries in ((EPISODES, WAYS, 3), (1, WAYS, 1), (3, 20, 15), (5, 2, 1)):
        y = subject.targets(queries, ways, episodes)
        for outputs in (subject.random(y, ways), subject.perfect(y, ways)):
            scores = subject.compute(outputs, y)
            ensure(isinstance(scores, Tensor), f"compute returned a {type(scores).__name__}, not a tensor")
            shape = f"{list(scores.shape)} for {episodes} episodes of {ways} ways"
            ensure(tuple(scores.shape) == (episodes,), f"scores have shape {shape}")
            ensure(scores.is_floating_point(), f"scores are {scores.dtype}")
            ensure(bool(scores.isfinite().all()), f"scores are {scores.tolist()}")


def fractions_are_between_0_and_1(subject: MetricSubject) -> None:
    """Scores with unit % are fractions between 0 and 1, for good, random and bad predictions."""
    if subject.plugin.unit != "%":
        return
    y = subject.targets()
    for outputs in (subject.perfect(y), subject.random(y), -subject.perfect(y)):
        scores = subject.compute(outputs, y)
        low, high = float(scores.min()), float(scores.max())
        ensure(low >= -TOLERANCE and high <= 1 + TOLERANCE, f"scores range from {low:.4g} to {high:.4g}")


def query_order_does_not_matter(subject: MetricSubject) -> None:
    """The score of an episode does not depend on the order of its queries."""
    y = subject.targets()
    outputs = subject.random(y)
    order = torch.randperm(y.shape[1], generator=_generator(3))
    difference = distance(subject.compute(outputs[:, order], y[:, order]), subject.compute(outputs, y))
    ensure(difference < TOLERANCE, f"reordering the queries changed scores by {difference:.2g}")


def episodes_are_independent(subject: MetricSubject) -> None:
    """The score of an episode does not depend on other episodes."""
    y = subject.targets()
    outputs = subject.random(y)
    batched = subject.compute(outputs, y)
    alone = torch.cat([subject.compute(outputs[[index]], y[[index]]) for index in range(len(y))])
    difference = distance(alone, batched)
    ensure(difference < TOLERANCE, f"computing episodes one by one changed scores by {difference:.2g}")
    other = torch.cat([subject.perfect(y[:1]), outputs[1:]])
    difference = distance(subject.compute(other, y)[1:], batched[1:])
    ensure(difference < TOLERANCE, f"changing the first episode changed the scores of others by {difference:.2g}")


def perfect_predictions_are_not_worse_than_random(subject: MetricSubject) -> None:
    """higher_is_better is correct: random predictions do not score better than perfect ones."""
    y = subject.targets()
    perfect = float(subject.compute(subject.perfect(y), y).double().mean())
    for seed in range(2, 7):
        random = float(subject.compute(subject.random(y, seed=seed), y).double().mean())
        direction = "higher" if subject.plugin.higher_is_better else "lower"
        ensure(
            not subject.plugin.better(random, perfect),
            f"random predictions score {random:.4g}, perfect ones {perfect:.4g}, but {direction} is declared better",
        )


def outputs_and_targets_are_not_changed(subject: MetricSubject) -> None:
    """compute changes neither the outputs nor the targets, which other metrics use as well."""
    y = subject.targets()
    outputs = subject.random(y)
    outputs_after, y_after = outputs.clone(), y.clone()
    subject.plugin().compute(outputs_after, y_after)
    ensure(same(outputs_after, outputs), "compute changed the outputs")
    ensure(same(y_after, y), "compute changed the targets")


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


METRIC = (
    Check(can_be_computed, "Fix this error first: every other check computes scores.", needed=True),
    Check(
        declarations,
        "Set name, unit and higher_is_better on the class, and kind = 'regression' for values, 'multi-label' for zeros "
        "and ones.",
    ),
    Check(one_finite_score_per_episode, "Reduce over dimensions 1 (queries) and 2 (outputs); do not divide by zero."),
    Check(fractions_are_between_0_and_1, "Return fractions of 1 for unit '%'; tables multiply them by 100."),
    Check(query_order_does_not_matter, "Reduce over the queries with a mean, a sum or an extreme."),
    Check(episodes_are_independent, "Never reduce over dimension 0, and store nothing on self."),
    Check(perfect_predictions_are_not_worse_than_random, "Invert higher_is_better."),
    Check(
        outputs_and_targets_are_not_changed,
        "Use no in-place operations (ending in _) on the arguments.",
    ),
)

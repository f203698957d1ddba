"""The contract of a metric."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mamlbench.api import Metric
from mamlbench.testing.run_checks import Check, demand
from mamlbench.testing.tensor_comparison import distance, same

EPISODES, WAYS = 8, 4
TOLERANCE = 1e-5
"""Difference in float32 that the order of summation may make."""
CONFIDENT = 20.0
"""Logit of the right class in perfect predictions."""


class MetricSubject:
    """Makes predictions for a metric to judge.

    Args:
        plugin: the class under test.
    """

    def __init__(self, plugin: type[Metric]) -> None:
        self.plugin = plugin

    def targets(self, queries: int = 3, ways: int = WAYS, episodes: int = EPISODES) -> Tensor:
        """Labels int64 ``[episodes, ways * queries]``, or targets ``[episodes, ways * queries, 2]``."""
        if self.plugin.kind == "regression":
            return torch.randn(episodes, ways * queries, 2, generator=_generator(1))
        return torch.arange(ways).repeat_interleave(queries).repeat(episodes, 1)

    def random(self, y: Tensor, ways: int = WAYS, seed: int = 2) -> Tensor:
        """Outputs ``[T, n, outputs]`` that know nothing of the targets."""
        outputs = y.shape[-1] if self.plugin.kind == "regression" else ways
        return torch.randn(*y.shape[:2], outputs, generator=_generator(seed))

    def perfect(self, y: Tensor, ways: int = WAYS) -> Tensor:
        """Outputs ``[T, n, outputs]`` that are right and sure of it."""
        return y.clone() if self.plugin.kind == "regression" else CONFIDENT * F.one_hot(y, ways).float()

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Scores ``[T]``, of copies: what a metric does to its arguments is looked at by one check alone."""
        return self.plugin().compute(outputs.clone(), y.clone())


def declarations(subject: MetricSubject) -> None:
    """name and unit are texts, higher_is_better is True or False, kind is 'classification' or 'regression'."""
    for attribute, types in (("name", str), ("unit", str), ("higher_is_better", bool)):
        value = getattr(subject.plugin, attribute, None)
        demand(isinstance(value, types), f"{attribute} is {value!r}")
    demand(bool(subject.plugin.name.strip()), "name is empty")
    demand(subject.plugin.kind in ("classification", "regression"), f"kind is {subject.plugin.kind!r}")


def one_finite_score_per_episode(subject: MetricSubject) -> None:
    """compute returns a finite floating-point number for each episode, whatever the episodes, ways and queries."""
    for episodes, ways, queries in ((EPISODES, WAYS, 3), (1, WAYS, 1), (3, 20, 15), (5, 2, 1)):
        y = subject.targets(queries, ways, episodes)
        for outputs in (subject.random(y, ways), subject.perfect(y, ways)):
            scores = subject.compute(outputs, y)
            demand(isinstance(scores, Tensor), f"compute returned a {type(scores).__name__}, not a tensor")
            shape = f"{list(scores.shape)} for {episodes} episodes of {ways} ways"
            demand(tuple(scores.shape) == (episodes,), f"scores have shape {shape}")
            demand(scores.is_floating_point(), f"scores are {scores.dtype}")
            demand(bool(scores.isfinite().all()), f"scores are {scores.tolist()}")


def shares_lie_between_0_and_1(subject: MetricSubject) -> None:
    """A score in % is a fraction, for good, random and bad predictions alike."""
    if subject.plugin.unit != "%":
        return
    y = subject.targets()
    for outputs in (subject.perfect(y), subject.random(y), -subject.perfect(y)):
        scores = subject.compute(outputs, y)
        low, high = float(scores.min()), float(scores.max())
        demand(low >= -TOLERANCE and high <= 1 + TOLERANCE, f"scores reach from {low:.4g} to {high:.4g}")


def order_of_the_examples_does_not_matter(subject: MetricSubject) -> None:
    """With the queries of an episode in another order its score is the same."""
    y = subject.targets()
    outputs = subject.random(y)
    order = torch.randperm(y.shape[1], generator=_generator(3))
    moved = distance(subject.compute(outputs[:, order], y[:, order]), subject.compute(outputs, y))
    demand(moved < TOLERANCE, f"with the queries in another order scores moved by {moved:.2g}")


def episodes_do_not_mix(subject: MetricSubject) -> None:
    """An episode has the same score alone, and whatever the other episodes are."""
    y = subject.targets()
    outputs = subject.random(y)
    together = subject.compute(outputs, y)
    alone = torch.cat([subject.compute(outputs[[index]], y[[index]]) for index in range(len(y))])
    moved = distance(alone, together)
    demand(moved < TOLERANCE, f"computed alone scores differ by {moved:.2g}")
    other = torch.cat([subject.perfect(y[:1]), outputs[1:]])
    moved = distance(subject.compute(other, y)[1:], together[1:])
    demand(moved < TOLERANCE, f"with the first episode changed the scores of others moved by {moved:.2g}")


def perfect_predictions_are_no_worse_than_random_ones(subject: MetricSubject) -> None:
    """higher_is_better is true to what is computed: no random predictions score better than perfect ones."""
    y = subject.targets()
    perfect = float(subject.compute(subject.perfect(y), y).double().mean())
    for seed in range(2, 7):
        random = float(subject.compute(subject.random(y, seed=seed), y).double().mean())
        direction = "higher" if subject.plugin.higher_is_better else "lower"
        demand(
            not subject.plugin.better(random, perfect),
            f"random predictions score {random:.4g}, perfect ones {perfect:.4g}, and {direction} is declared better",
        )


def outputs_and_targets_stay_as_they_are(subject: MetricSubject) -> None:
    """compute changes neither the outputs nor the targets: other metrics get the same tensors."""
    y = subject.targets()
    outputs = subject.random(y)
    outputs_after, y_after = outputs.clone(), y.clone()
    subject.plugin().compute(outputs_after, y_after)
    demand(same(outputs_after, outputs), "compute changed the outputs")
    demand(same(y_after, y), "compute changed the targets")


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


METRIC = (
    Check(declarations, "Set name, unit and higher_is_better on the class, and kind = 'regression' for values."),
    Check(one_finite_score_per_episode, "Reduce over dimension 1 (queries) and 2 (outputs), and divide by no zero."),
    Check(shares_lie_between_0_and_1, "Return fractions of 1 for unit '%'; tables show them times 100."),
    Check(order_of_the_examples_does_not_matter, "Reduce over the queries by a mean, a sum or an extreme."),
    Check(episodes_do_not_mix, "Never reduce over dimension 0, and keep nothing on self."),
    Check(perfect_predictions_are_no_worse_than_random_ones, "Turn higher_is_better around."),
    Check(outputs_and_targets_stay_as_they_are, "Use no operation that ends in _, and assign into no argument."),
)

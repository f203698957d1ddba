"""Metrics that are wrong on purpose."""

import torch

from mamlbench.api import Metric

from .registry import caught_by


class Right(Metric):
    """Accuracy: the base class of the mutants."""

    name = "right"
    unit = "%"
    higher_is_better = True

    def compute(self, outputs, y):
        return (outputs.argmax(-1) == y).float().mean(-1)


@caught_by("has docstring", "metric")
class Undocumented(Right):
    pass


Undocumented.__doc__ = None


@caught_by("can be computed", "metric")
class FailsToCompute(Right):
    def compute(self, outputs, y):
        raise ValueError("no score")


@caught_by("declarations", "metric")
class Nameless(Right):
    name = ""


@caught_by("declarations", "metric")
class DirectionInWords(Right):
    higher_is_better = "yes"


@caught_by("one finite score per episode", "metric")
class OneScoreForAll(Right):
    def compute(self, outputs, y):
        return super().compute(outputs, y).mean()


@caught_by("one finite score per episode", "metric")
class ScorePerQuery(Right):
    def compute(self, outputs, y):
        return (outputs.argmax(-1) == y).float()


@caught_by("one finite score per episode", "metric")
class DividesByNothing(Right):
    """Precision of class 0, which may never be predicted."""

    def compute(self, outputs, y):
        predicted = outputs.argmax(-1) == 0
        return (predicted & (y == 0)).sum(-1) / predicted.sum(-1)


@caught_by("fractions are between 0 and 1", "metric")
class Percent(Right):
    def compute(self, outputs, y):
        return 100 * super().compute(outputs, y)


@caught_by("query order does not matter", "metric")
class FirstHalfOnly(Right):
    def compute(self, outputs, y):
        half = y.shape[1] // 2 or 1
        return super().compute(outputs[:, :half], y[:, :half])


@caught_by("episodes are independent", "metric")
class ByTheBest(Right):
    def compute(self, outputs, y):
        scores = super().compute(outputs, y)
        return scores / scores.max().clamp_min(1e-6)


@caught_by("episodes are independent", "metric")
class Remembers(Right):
    """Averages over all episodes that it has met in one call."""

    def compute(self, outputs, y):
        scores = super().compute(outputs, y)
        return scores.cumsum(0) / torch.arange(1, len(scores) + 1)


@caught_by("perfect predictions are not worse than random", "metric")
class WrongDirection(Right):
    higher_is_better = False


@caught_by("outputs and targets are not changed", "metric")
class InPlace(Right):
    def compute(self, outputs, y):
        return (outputs.sub_(outputs.max()).argmax(-1) == y).float().mean(-1)


class LabelAccuracy(Metric):
    """Share of labels that are right: the base class of the mutants of several labels."""

    name = "label accuracy"
    unit = "%"
    higher_is_better = True
    kind = "multi-label"

    def compute(self, outputs, y):
        return ((outputs > 0) == (y == 1)).float().mean((-1, -2))


@caught_by("perfect predictions are not worse than random", "metric")
class CountsErrors(LabelAccuracy):
    def compute(self, outputs, y):
        return 1 - super().compute(outputs, y)


@caught_by("fractions are between 0 and 1", "metric")
class AddsUpLabels(LabelAccuracy):
    def compute(self, outputs, y):
        return super().compute(outputs, y) * y.shape[-1]


@caught_by("declarations", "metric")
class UnknownKind(Right):
    kind = "ranking"

"""Whether probabilities mean what they say."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mamlbench.api import Metric

BINS = 15


class NegativeLogLikelihood(Metric):
    """Mean of -log p(label) over an episode's queries, p being the softmax of the outputs."""

    name = "negative log-likelihood"
    unit = "nats"
    higher_is_better = False

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        losses = F.cross_entropy(_at_least_float32(outputs).flatten(0, 1), y.flatten(), reduction="none")  # [T * n]
        return losses.view(y.shape).mean(-1)


class ExpectedCalibrationError(Metric):
    """Mean gap between confidence and accuracy over 15 bins of confidence of equal width, weighted by their size.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3; confidence is the largest softmax
    output, bin m is ((m - 1) / 15, m / 15]. It is taken within each episode: of few queries it is large by chance, so
    that it is comparable at an equal number of queries only.
    """

    name = "expected calibration error"
    unit = "%"
    higher_is_better = False

    def compute(self, outputs: Tensor, y: Tensor) -> Tensor:
        confidence, predicted = _at_least_float32(outputs).softmax(-1).max(-1)  # [T, n]
        gap = (predicted == y).to(confidence) - confidence
        bins = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
        gaps = gap.new_zeros(len(y), BINS).scatter_add(1, bins, gap)  # [T, BINS]
        return gaps.abs().sum(-1) / y.shape[1]


def _at_least_float32(outputs: Tensor) -> Tensor:
    """The same outputs, those of half precision as float32: a mean of logarithms needs the digits."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

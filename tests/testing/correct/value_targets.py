"""Tasks whose targets are no classes: several labels at once, with a metric of their own, and two values."""

import hashlib
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional as F

import mamlbench
from mamlbench.api import (
    SPLITS,
    ConfigError,
    Dataset,
    DatasetInfo,
    EpisodeBatch,
    Examples,
    Metric,
    Objective,
    Options,
    Regression,
    TaskSplit,
    hash64,
    seed_key,
    uniform,
)

FUNCTIONS = 10**12
"""Size of each family of functions: keys are taken modulo this number."""


def episode(x, y, shots, keys):
    """Float64 x ``[T, shots + queries, d]`` and y ``[T, shots + queries, outputs]`` as T episodes."""
    x, y = (torch.from_numpy(np.ascontiguousarray(values)).float() for values in (x, y))
    support, query = Examples(x[:, :shots], y[:, :shots]), Examples(x[:, shots:], y[:, shots:])
    return EpisodeBatch(support, query, torch.from_numpy(keys.view(np.int64)))


class FunctionSplit(TaskSplit):
    """One of the splits: functions of ``[n, d]`` numbers, each drawn by its number; splits draw from other numbers."""

    size = FUNCTIONS

    def __init__(self, split, name, input_shape, objective, function):
        self.salt = seed_key(name, split)
        self.hash = hashlib.sha256(f"{name} {split} {input_shape}".encode()).hexdigest()
        self._shape, self._objective, self.function = input_shape, objective, function

    @property
    def input_shape(self):
        return self._shape

    @property
    def objective(self):
        return self._objective

    def to(self, device):
        return self

    def labeled_examples(self, key, count):
        raise ConfigError("An example belongs to one of very many functions: there are no labels of all of them.")

    def episodes(self, keys, ways, shots, queries):
        if ways != 1:
            raise ConfigError(f"{ways} ways were requested, and these tasks have no ways: use 1.")
        function = hash64(self.salt, (keys % np.uint64(FUNCTIONS)).astype(np.int64))  # [T]
        n, d = shots + queries, self.input_shape[0]
        x = 2 * uniform(hash64(keys, 1)[:, None], np.arange(n * d)).reshape(-1, n, d) - 1
        return episode(x, self.function(function, x), shots, hash64(keys, 2))


class SeveralLabels(Objective):
    """Binary cross-entropy of each label, averaged over the labels."""

    metrics = ("label F1",)

    def __init__(self, labels):
        self.outputs = labels

    def losses(self, outputs, y):
        return F.binary_cross_entropy_with_logits(outputs, y, reduction="none").mean(-1)


class LabelF1(Metric):
    """F1 of each label over an episode's queries, averaged over the labels: 2 TP / (2 TP + FP + FN).

    Zhang & Zhou, "A Review on Multi-Label Learning Algorithms", IEEE TKDE 26(8), 2014, section 2.2.2 (macro-averaging).
    """

    name = "label F1"
    unit = "%"
    higher_is_better = True
    kind = "multi-label"

    def compute(self, outputs, y):
        predicted = (outputs > 0).to(y)
        f1 = 2 * (predicted * y).sum(1) / (predicted.sum(1) + y.sum(1)).clamp_min(1)  # [T, labels]
        return f1.mean(-1)


class Attributes(Dataset):
    """Random linear attributes: for each attribute a direction; an example has it on one side of the origin."""

    info = DatasetInfo("Linear attributes", "computed (no data)", "none")
    default_backbone = "mlp"
    kind = "multi-label"

    class Options(Options):
        """Options of the attributes."""

        attributes: int = Field(3, ge=1, description="attributes of a task")

    def load(self):
        name, objective = f"attributes-{self.options.attributes}", self.objective(1)
        return {split: FunctionSplit(split, name, (16,), objective, self.attributes) for split in SPLITS}

    def attributes(self, function, x):
        """x ``[T, n, 16]`` to zeros and ones ``[T, n, attributes]``."""
        count = self.options.attributes
        directions = 2 * uniform(function[:, None], np.arange(16 * count)).reshape(-1, 16, count) - 1
        return x @ directions > 0

    def objective(self, ways):
        return SeveralLabels(self.options.attributes)


class Pendulum(Dataset):
    """Where a pendulum of small swings is at time t, and how fast: two values of one number.

    Amplitude, frequency and phase differ from task to task, as those of Finn et al. 2017 (arXiv 1703.03400), section
    5.1, do; the second value is the derivative of the first.
    """

    info = DatasetInfo("Pendulums", "computed (no data)", "none")
    default_backbone = "mlp"
    kind = "regression"
    ranges: ClassVar = ((0.1, 2.0), (0.5, 3.0), (0.0, 2 * np.pi))

    def load(self):
        return {split: FunctionSplit(split, "pendulum", (1,), self.objective(1), self.swing) for split in SPLITS}

    def swing(self, function, t):
        """t ``[T, n, 1]`` to place and speed ``[T, n, 2]``."""
        drawn = uniform(function[:, None], np.arange(3))  # [T, 3]
        a, w, phase = (low + (high - low) * drawn[:, i, None, None] for i, (low, high) in enumerate(self.ranges))
        return np.concatenate([a * np.sin(w * t + phase), a * w * np.cos(w * t + phase)], axis=-1)

    def objective(self, ways):
        return Regression(2)


@mamlbench.hookimpl
def mamlbench_register_metrics(register):
    register("label F1", LabelF1, summary="F1 averaged over labels")


@mamlbench.hookimpl
def mamlbench_register_datasets(register):
    register("attributes", Attributes, summary="several labels of each example")
    register("pendulum", Pendulum, summary="regression of two values")

"""Sinusoid regression: few-shot learning of a sine wave (Finn et al., ICML 2017, section 5.1)."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mamlbench.api import DatasetInfo, Examples, Keys, Objective, Regression, TaskSplit, hash64, uniform
from mamlbench_plugins.datasets.computed_tasks import ComputedTasks, FamilySplit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SineFamily:
    """The family y = amplitude * sin(x - phase); amplitude, phase (in radians) and x are uniform in their ranges."""

    amplitude: tuple[float, float] = (0.1, 5.0)
    phase: tuple[float, float] = (0.0, math.pi)
    x: tuple[float, float] = (-5.0, 5.0)

    def y(self, x: Floats, keys: Keys) -> Floats:
        """Evaluate one wave per key at ``x``; the shapes of ``keys`` and ``x`` are broadcast."""
        return _between(self.amplitude, uniform(keys, 0)) * np.sin(x - _between(self.phase, uniform(keys, 1)))


def _between(ends: tuple[float, float], chance: Floats) -> Floats:
    """Map numbers in [0, 1) to the range between ``ends``."""
    return ends[0] + (ends[1] - ends[0]) * chance


class SineSplit(FamilySplit[SineFamily]):
    """All waves of a family: x and y of an example are float32 ``[1]``."""

    noun = "regression task"

    @property
    def facts(self) -> tuple[object, ...]:
        return "sinusoid", astuple(self.family)

    def draw(self, keys: Keys, count: int) -> Examples:
        x = _between(self.family.x, uniform(hash64(keys, 1)[:, None], np.arange(count)))  # [T, count]
        return self._examples(x, self.family.y(x, hash64(keys, 0)[:, None]))

    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        """Draw one point of each of ``count`` waves: x and y are float32 ``[count, 1]``."""
        draws = hash64(key, np.arange(count))  # [count]
        x = _between(self.family.x, uniform(hash64(draws, 1), 0))
        return self._examples(x, self.family.y(x, hash64(draws, 0)))

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1,)

    @property
    def objective(self) -> Objective:
        """Regression of the value at x over all waves; the best prediction is the mean over the family."""
        return Regression(1)

    def _examples(self, x: Floats, y: Floats) -> Examples:
        """Convert float64 ``[...]`` to float32 ``[..., 1]`` on the device."""
        return Examples(
            torch.from_numpy(x).to(self.device, torch.float32)[..., None],
            torch.from_numpy(y).to(self.device, torch.float32)[..., None],
        )


class Sinusoid(ComputedTasks):
    """Sine waves of random amplitude and phase; needs no files."""

    info = DatasetInfo(
        title="Sinusoid regression",
        license="computed (no data)",
        citation="Finn, Abbeel and Levine, Model-Agnostic Meta-Learning, ICML 2017, section 5.1",
        homepage="https://arxiv.org/abs/1703.03400",
    )
    amount = "any number of waves"
    kind: ClassVar[Literal["classification", "regression"]] = "regression"

    def make_split(self, name: str) -> TaskSplit:
        return SineSplit(SineFamily(), name)

    def objective(self, ways: int) -> Objective:
        """Mean squared error of one value; ``ways`` is ignored."""
        return Regression(1)

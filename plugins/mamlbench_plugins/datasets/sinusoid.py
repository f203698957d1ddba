"""Sinusoid regression: few-shot learning of a sine wave (Finn et al., ICML 2017, section 5.1)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mamlbench.api import (
    SPLITS,
    ConfigError,
    DataPaths,
    Dataset,
    DatasetInfo,
    EpisodeBatch,
    Examples,
    Keys,
    LocalCopy,
    Objective,
    Regression,
    TaskSplit,
    hash64,
    uniform,
)

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


class SineSplit(TaskSplit):
    """One split: all waves of a family; splits draw different waves because their episodes have different keys."""

    def __init__(self, waves: SineFamily, split: str, device: torch.device | None = None) -> None:
        self.waves = waves
        self.split = split
        self.device = device or torch.device("cpu")
        self.hash = hashlib.sha256(repr(("sinusoid", astuple(waves), split)).encode()).hexdigest()
        self.size = 1  # one family of tasks; there are no classes

    def episodes(self, keys: Keys, ways: int, shots: int, queries: int) -> EpisodeBatch:
        """Draw one wave per key: x and y are float32 ``[T, shots, 1]`` (support) and ``[T, queries, 1]`` (query).

        Raises ConfigError if ``ways`` is not 1, because a wave has no classes.
        """
        if ways != 1:
            raise ConfigError(f"{ways} ways were requested, and a regression task has no classes: use 1.")
        x = _between(self.waves.x, uniform(hash64(keys, 1)[:, None], np.arange(shots + queries)))  # [T, K + Q]
        examples = self._examples(x, self.waves.y(x, hash64(keys, 0)[:, None]))
        return EpisodeBatch(
            support=Examples(examples.x[:, :shots], examples.y[:, :shots]),
            query=Examples(examples.x[:, shots:], examples.y[:, shots:]),
            keys=torch.from_numpy(hash64(keys, 3).view(np.int64)),
        )

    def labeled_examples(self, key: np.uint64, count: int) -> Examples:
        """Draw one point of each of ``count`` waves: x and y are float32 ``[count, 1]``."""
        draws = hash64(key, np.arange(count))  # [count]
        x = _between(self.waves.x, uniform(hash64(draws, 1), 0))
        return self._examples(x, self.waves.y(x, hash64(draws, 0)))

    def to(self, device: torch.device) -> SineSplit:
        return SineSplit(self.waves, self.split, device)

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


class Sinusoid(Dataset):
    """Sine waves of random amplitude and phase; needs no files."""

    info = DatasetInfo(
        title="Sinusoid regression",
        license="computed (no data)",
        citation="Finn, Abbeel and Levine, Model-Agnostic Meta-Learning, ICML 2017, section 5.1",
        homepage="https://arxiv.org/abs/1703.03400",
    )
    default_backbone: ClassVar[str] = "mlp"
    kind: ClassVar[Literal["classification", "regression"]] = "regression"

    @classmethod
    def find_local_copy(cls, options: Any, paths: DataPaths) -> LocalCopy:
        return LocalCopy("computed", amount="any number of waves", prepared=True)

    def load(self) -> Mapping[str, TaskSplit]:
        self.origin = "computed"
        return {name: SineSplit(SineFamily(), name) for name in SPLITS}

    def objective(self, ways: int) -> Objective:
        """Mean squared error of one value; ``ways`` is ignored."""
        return Regression(1)

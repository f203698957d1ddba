from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mamlbench.api import DataPaths, Regression, hash64, seed_key
from mamlbench.errors import ConfigError
from mamlbench_plugins.datasets.sinusoid import SineFamily, SineSplit, Sinusoid

KEYS = hash64(seed_key("sinusoid"), np.arange(2000))


@pytest.fixture
def dataset(tmp_path: Path) -> Sinusoid:
    return Sinusoid(Sinusoid.Options(), DataPaths((), tmp_path, allow_download=False))


@pytest.fixture
def split() -> SineSplit:
    return SineSplit(SineFamily(), "train")


def test_shapes_and_types(split: SineSplit) -> None:
    batch = split.episodes(KEYS[:3], ways=1, shots=5, queries=10)
    assert batch.support.x.shape == batch.support.y.shape == (3, 5, *split.input_shape)
    assert batch.query.x.shape == batch.query.y.shape == (3, 10, 1)
    assert {tensor.dtype for tensor in (*batch.support, *batch.query)} == {torch.float32}
    assert batch.keys.shape == (3,) and batch.keys.dtype == torch.int64


def test_an_episode_is_one_wave_of_the_family(split: SineSplit) -> None:
    """Amplitude and phase are recovered by least squares from the support; the queries must lie on the same wave."""
    batch = split.episodes(KEYS, 1, 20, 20)

    def terms(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.sin(), x.cos()], -1).double()

    fit = torch.linalg.lstsq(terms(batch.support.x), batch.support.y.double()).solution  # [T, 2, 1]
    torch.testing.assert_close(terms(batch.query.x) @ fit, batch.query.y.double(), atol=1e-4, rtol=0)
    amplitude, phase = fit.norm(dim=(1, 2)), torch.atan2(-fit[:, 1, 0], fit[:, 0, 0])
    for values, low, high in ((amplitude, 0.1, 5), (phase, 0, math.pi), (batch.support.x, -5, 5)):
        assert low - 1e-5 <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high + 1e-5
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))


def test_an_episode_depends_on_its_key_alone(split: SineSplit) -> None:
    batch, other_order = split.episodes(KEYS[:4], 1, 5, 5), split.episodes(KEYS[[3, 1]], 1, 5, 5)
    assert torch.equal(batch.query.y[[3, 1]], other_order.query.y)
    assert torch.equal(batch.keys[[3, 1]], other_order.keys)
    assert len(torch.unique(batch.support.y)) == batch.support.y.numel()


def test_more_queries_keep_the_support_and_the_first_queries(split: SineSplit) -> None:
    few, many = split.episodes(KEYS[:4], 1, 5, 1), split.episodes(KEYS[:4], 1, 5, 50)
    assert torch.equal(few.support.x, many.support.x) and torch.equal(few.support.y, many.support.y)
    assert torch.equal(few.query.y, many.query.y[:, :1])


def test_labeled_points_are_of_many_waves(split: SineSplit) -> None:
    key = np.uint64(7)
    x, y = split.labeled_examples(key, 4000)
    assert x.shape == y.shape == (4000, 1) and x.dtype == y.dtype == torch.float32
    assert y.abs().max() <= 5
    # Over the family the mean is 2.55 * mean(sin(x - phase)) = 2.55 * -2/pi * cos(x).
    at_zero = y[x.abs() < 0.25].mean().item()
    assert at_zero == pytest.approx(-2.55 * 2 / math.pi, abs=0.5)
    assert torch.equal(split.labeled_examples(key, 10).y, y[:10])


def test_a_wave_has_no_classes(split: SineSplit) -> None:
    with pytest.raises(ConfigError, match=r"5 ways.*use 1"):
        split.episodes(KEYS[:2], ways=5, shots=1, queries=1)


def test_objectives_are_regression(dataset: Sinusoid) -> None:
    for objective in (dataset.objective(1), dataset.objective(5), dataset.splits["train"].objective):
        assert isinstance(objective, Regression) and objective.outputs == 1
    assert (dataset.kind, dataset.default_backbone) == ("regression", "mlp")


def test_hashes_distinguish_splits_and_families(dataset: Sinusoid) -> None:
    assert len({split.hash for split in dataset.splits.values()}) == len(dataset.splits) == 3
    assert SineSplit(SineFamily(), "train").hash == dataset.splits["train"].hash
    assert SineSplit(SineFamily(amplitude=(0.1, 4.0)), "train").hash != dataset.splits["train"].hash


def test_moving_keeps_the_episodes(split: SineSplit) -> None:
    moved = split.to(torch.device("cpu"))
    assert moved.hash == split.hash
    assert torch.equal(moved.episodes(KEYS[:2], 1, 5, 5).query.y, split.episodes(KEYS[:2], 1, 5, 5).query.y)

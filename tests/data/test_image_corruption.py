"""Corrupted images: what each corruption computes, and what it depends on."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mamlbench.data.counter_rng import hash64
from mamlbench.data.image_corruption import corrupt_images
from mamlbench.run_spec import Corruption

CORRUPTIONS = st.one_of(
    st.builds(Corruption, st.just("noise"), st.floats(0.01, 10)),
    st.builds(Corruption, st.just("blur"), st.floats(0.3, 20)),
    st.builds(Corruption, st.just("contrast"), st.floats(0.01, 1)),
)


def images(count=6, channels=2, height=9, width=12):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0))


def keys(count, seed=0):
    return hash64(np.uint64(seed), np.arange(count))


@settings(max_examples=25)
@given(CORRUPTIONS, st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 3))
def test_an_image_depends_on_its_key_alone_and_stays_an_image(corruption, seed, split, channels):
    x, of_image = images(channels=channels), keys(6, seed)
    before = x.clone()
    corrupted = corrupt_images(x, of_image, corruption)
    assert corrupted.shape == x.shape and corrupted.dtype == torch.float32
    assert float(corrupted.min()) >= 0 and float(corrupted.max()) <= 1
    assert torch.equal(x, before) and not torch.equal(corrupted, x)
    parts = [corrupt_images(x[part], of_image[part], corruption) for part in (slice(split), slice(split, None))]
    torch.testing.assert_close(torch.cat(parts), corrupted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("strength", [0.05, 0.1])
def test_noise_is_normal_with_its_strength_as_deviation(strength):
    gray = torch.full((40, 1, 30, 31), 0.5)
    noise = corrupt_images(gray, keys(40), Corruption("noise", strength)).double() - 0.5
    n = noise.numel()
    assert abs(float(noise.mean())) < 5 * strength / math.sqrt(n)
    assert abs(float(noise.std()) / strength - 1) < 5 / math.sqrt(2 * n)
    within = float((noise.abs() < strength).double().mean())
    assert abs(within - 0.6827) < 5 * math.sqrt(0.6827 * 0.3173 / n)
    flat = noise.flatten(1)
    correlations = torch.corrcoef(flat)[~torch.eye(40, dtype=torch.bool)]
    assert float(correlations.abs().max()) < 5.5 / math.sqrt(930), "images have noise of their own"
    neighbors = torch.corrcoef(torch.stack([flat[:, 1:].flatten(), flat[:, :-1].flatten()]))[0, 1]
    assert abs(float(neighbors)) < 5 / math.sqrt(n)
    halves = torch.corrcoef(torch.stack([flat[:, :465].flatten(), flat[:, 465:].flatten()]))[0, 1]
    assert abs(float(halves)) < 5 / math.sqrt(n / 2), "both numbers of one draw are independent"


def test_noise_is_cut_off_at_black_and_white():
    x = corrupt_images(torch.ones(1, 1, 20, 20), keys(1), Corruption("noise", 0.3))
    assert 0.4 < float((x == 1).double().mean()) < 0.6


@pytest.mark.parametrize("deviation", [0.4, 1.0, 2.5])
def test_blur_is_a_convolution_with_a_gaussian(deviation):
    reach = 12
    x = images(2, 1, 21, 26)
    offsets = torch.arange(-reach, reach + 1).double()
    line = (-(offsets**2) / (2 * deviation**2)).exp()
    line = line / line.sum()
    padded = nn.functional.pad(x.double(), (reach,) * 4, mode="replicate")
    expected = nn.functional.conv2d(padded, (line[:, None] * line)[None, None])
    blurred = corrupt_images(x, keys(2), Corruption("blur", deviation))
    torch.testing.assert_close(blurred.double(), expected, rtol=0, atol=2e-4)


def test_blur_leaves_a_uniform_image_and_flattens_another():
    gray = torch.full((1, 3, 8, 8), 0.25)
    torch.testing.assert_close(corrupt_images(gray, keys(1), Corruption("blur", 2.0)), gray)
    spread = [float(corrupt_images(images(), keys(6), Corruption("blur", s)).std()) for s in (0.5, 1.0, 2.0, 8.0)]
    assert spread == sorted(spread, reverse=True)


def test_contrast_moves_each_pixel_to_the_mean_of_its_channel():
    x = images()
    mean = x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(corrupt_images(x, keys(6), Corruption("contrast", 0.25)), mean + 0.75 * (x - mean))
    torch.testing.assert_close(corrupt_images(x, keys(6), Corruption("contrast", 1.0)), mean.expand_as(x))

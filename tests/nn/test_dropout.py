"""Noise in training: masks are functions of key, layer and position alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import vmap

from mamlbench.api import Backbone, DropBlock, Dropout, bernoulli_mask, noise_key_scope

CPU = torch.device("cpu")
SHAPE = (4, 16, 12, 12)


def noisy(layer, x, key=1):
    with noise_key_scope(key):
        return layer(x)


@given(st.integers(0, 2**64 - 1), st.sampled_from([0.05, 0.3, 0.9]))
def test_positions_are_chosen_at_the_rate(key, rate):
    share = float(bernoulli_mask(key, (100, 100), rate, CPU).double().mean())
    assert abs(share - rate) < 5 * (rate * (1 - rate) / 10_000) ** 0.5


def test_more_examples_do_not_change_the_mask_of_the_first():
    assert torch.equal(bernoulli_mask(1, (7, 3, 5), 0.5, CPU)[:4], bernoulli_mask(1, (4, 3, 5), 0.5, CPU))


@pytest.mark.parametrize("layer", [Dropout(0.2), DropBlock(0.2, 5)], ids=str)
def test_the_mean_is_one_and_remaining_values_are_scaled_equally(layer):
    ones = torch.ones(64, 32, 12, 12, dtype=torch.float64)
    outputs = noisy(layer, ones)
    remaining = outputs != 0
    assert float(outputs.mean()) == pytest.approx(1, abs=0.02)
    # blocks overlap, so that fewer values are dropped than the rate
    assert 0.8 - 0.01 < float(remaining.double().mean()) < 0.84
    for example, mask in zip(outputs, remaining, strict=True):
        assert example[mask].unique().numel() == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_drop_block_drops_whole_blocks(size):
    dropped = noisy(DropBlock(0.2, size), torch.ones(SHAPE, dtype=torch.float64)) == 0
    assert dropped.any() and not dropped.all()
    covered = torch.zeros_like(dropped)
    for row in range(SHAPE[2] - size + 1):
        for column in range(SHAPE[3] - size + 1):
            window = (..., slice(row, row + size), slice(column, column + size))
            covered[window] |= dropped[window].all(-1).all(-1)[..., None, None]
    assert torch.equal(covered, dropped)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_a_map_no_larger_than_a_block_is_dropped_as_a_whole(side):
    dropped = noisy(DropBlock(0.3, 5), torch.ones(16, 64, side, side, dtype=torch.float64)) == 0
    maps = dropped.flatten(2)
    assert torch.equal(maps.all(-1), maps.any(-1))
    assert float(maps.all(-1).double().mean()) == pytest.approx(0.3, abs=0.05)


def test_a_fully_dropped_example_is_zero_and_not_nan():
    outputs = noisy(DropBlock(0.9, 5), torch.ones(64, 1, 2, 2))
    assert outputs.isfinite().all() and (outputs.flatten(1) == 0).all(1).any()


@pytest.mark.parametrize("layer", [Dropout(0.3), DropBlock(0.3, 3)], ids=str)
class TestLayer:
    def test_outside_training_the_input_is_returned(self, layer):
        x = torch.rand(SHAPE)
        assert layer(x) is x
        noisy(layer, x)
        assert layer(x) is x

    def test_one_key_is_one_mask_and_the_global_random_state_is_unchanged(self, layer):
        x, before = torch.rand(SHAPE), torch.get_rng_state()
        first = noisy(layer, x)
        torch.rand(5)
        assert torch.equal(noisy(layer, x), first)
        assert not torch.equal(noisy(layer, x, key=2), first)
        torch.set_rng_state(before)
        noisy(layer, x)
        assert torch.equal(torch.get_rng_state(), before)

    def test_tasks_share_the_mask_under_vmap(self, layer):
        x = torch.rand(3, *SHAPE)
        vectorized = noisy(vmap(layer, randomness="error"), x)
        assert torch.equal(vectorized, torch.stack([noisy(layer, one) for one in x]))

    def test_precisions_share_the_mask(self, layer):
        x = torch.rand(SHAPE, dtype=torch.float64)
        exact, rounded = noisy(layer, x), noisy(layer, x.float())
        assert rounded.dtype == torch.float32 and exact.dtype == torch.float64
        torch.testing.assert_close(rounded.double(), exact, rtol=1e-6, atol=1e-7)

    def test_examples_are_independent(self, layer):
        x = torch.rand(SHAPE)
        assert torch.equal(noisy(layer, x)[:2], noisy(layer, x[:2]))

    @pytest.mark.gpu
    def test_a_gpu_has_the_same_mask_without_synchronizing(self, layer):
        x = torch.rand(SHAPE)
        on_gpu = x.cuda()
        noisy(layer, on_gpu)
        torch.cuda.set_sync_debug_mode("error")
        try:
            outputs = noisy(layer, on_gpu)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        torch.testing.assert_close(outputs.cpu(), noisy(layer, x))


def test_each_layer_of_a_network_has_its_own_masks():
    class Two(Backbone):
        def features(self, input_shape):
            return nn.Sequential(Dropout(0.5), Dropout(0.5)), 8

    one, other = Two(Two.Options()).build((8,), 2).features
    assert (one.place, other.place) == ("features.0", "features.1")
    x = torch.ones(20, 8)
    assert not torch.equal(noisy(one, x), noisy(other, x))


def test_scopes_nest_and_end_after_an_error():
    layer, x = Dropout(0.5), torch.ones(20, 8)
    with noise_key_scope(1):
        outer = layer(x)
        with noise_key_scope(2):
            assert not torch.equal(layer(x), outer)
        assert torch.equal(layer(x), outer)
    with pytest.raises(ZeroDivisionError), noise_key_scope(1):
        1 / 0  # noqa: B018
    assert layer(x) is x

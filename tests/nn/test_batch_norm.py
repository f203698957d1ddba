import pytest
import torch
from torch import nn

from mamlbench.api import BatchNorm, record_statistics, replay_statistics


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SHAPES = [(6, 3), (6, 3, 4, 4), (2, 3, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [False, True])
def test_normalizing_by_the_batch_equals_torch_in_training(shape, scale):
    layer = BatchNorm(3, scale=scale).double()
    reference = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(3).double()
    with torch.no_grad():
        layer.bias.copy_(random(3, seed=1))
        reference.bias.copy_(layer.bias)
        if scale:
            layer.weight.copy_(random(3, seed=2))
            reference.weight.copy_(layer.weight)
    x = random(*shape)
    torch.testing.assert_close(layer(x), reference(x), rtol=0, atol=1e-12)


def test_the_layer_has_no_running_statistics():
    layer = BatchNorm(3)
    assert not list(layer.buffers())
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mean_and_biased_variance_of_the_batch_are_recorded(shape):
    layer, x = BatchNorm(3).double(), random(*shape)
    with record_statistics() as statistics:
        recorded = layer(x)
    ((mean, variance),) = statistics
    features = x.transpose(0, 1).flatten(1)  # [features, everything else]
    torch.testing.assert_close(mean, features.mean(1))
    torch.testing.assert_close(variance, (features - features.mean(1, keepdim=True)).square().mean(1))
    assert torch.equal(recorded, layer(x)), "recording changes nothing"


@torch.no_grad()
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_replaying_the_statistics_of_the_batch_changes_nothing(shape):
    network, x = nn.Sequential(BatchNorm(3), BatchNorm(3, scale=True)).double(), random(*shape)
    with record_statistics() as statistics:
        plain = network(x)
    with replay_statistics(statistics):
        torch.testing.assert_close(network(x), plain, rtol=0, atol=1e-12)
    with replay_statistics(statistics):  # a single example is normalized by them, not by itself
        torch.testing.assert_close(network(x[:1]), plain[:1], rtol=0, atol=1e-12)


def test_recording_and_replaying_end_with_the_block_also_after_an_error():
    layer, x = BatchNorm(3).double(), random(6, 3)
    plain = layer(x)
    with pytest.raises(ZeroDivisionError), record_statistics() as statistics:
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), replay_statistics([(random(3), random(3).abs())]):
        raise ZeroDivisionError
    assert torch.equal(layer(x), plain)
    assert statistics == []


@pytest.mark.parametrize("affine", [True, False])
def test_like_shares_the_parameters_of_torchs_layer_and_normalizes_as_it_does_in_training(affine):
    reference = nn.BatchNorm2d(3, eps=1e-3, affine=affine).double()
    if affine:
        reference.weight.data, reference.bias.data = random(3, seed=1), random(3, seed=2)
    layer, x = BatchNorm.like(reference), random(6, 3, 4, 4)
    assert layer.weight is reference.weight and layer.bias is reference.bias
    torch.testing.assert_close(layer(x), reference(x), rtol=0, atol=1e-12)

import pytest
import torch
from torch import nn

from mamlbench.api import BatchNorm, record_statistics, replay_statistics


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SHAPES = [(6, 3), (6, 3, 4, 4), (2, 3, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [False, True])
def test_by_the_batch_it_equals_torch_in_training(shape, scale):
    ours, theirs = (
        BatchNorm(3, scale=scale).double(),
        (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(3).double(),
    )
    with torch.no_grad():
        ours.bias.copy_(random(3, seed=1))
        theirs.bias.copy_(ours.bias)
        if scale:
            ours.weight.copy_(random(3, seed=2))
            theirs.weight.copy_(ours.weight)
    x = random(*shape)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


def test_no_running_statistics_are_kept():
    layer = BatchNorm(3)
    assert not list(layer.buffers())
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_recorded_are_mean_and_biased_variance_of_the_batch(shape):
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
def test_replaying_a_batch_its_own_statistics_changes_nothing(shape):
    network, x = nn.Sequential(BatchNorm(3), BatchNorm(3, scale=True)).double(), random(*shape)
    with record_statistics() as statistics:
        plain = network(x)
    with replay_statistics(statistics):
        torch.testing.assert_close(network(x), plain, rtol=0, atol=1e-12)
    with replay_statistics(statistics):  # and of a single example it normalizes by them, not by itself
        torch.testing.assert_close(network(x[:1]), plain[:1], rtol=0, atol=1e-12)


def test_recording_and_replaying_end_with_their_block_even_after_an_error():
    layer, x = BatchNorm(3).double(), random(6, 3)
    plain = layer(x)
    with pytest.raises(ZeroDivisionError), record_statistics() as statistics:
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), replay_statistics([(random(3), random(3).abs())]):
        raise ZeroDivisionError
    assert torch.equal(layer(x), plain)
    assert statistics == []


@pytest.mark.parametrize("affine", [True, False])
def test_like_torchs_it_has_its_parameters_and_normalizes_as_in_training(affine):
    theirs = nn.BatchNorm2d(3, eps=1e-3, affine=affine).double()
    if affine:
        theirs.weight.data, theirs.bias.data = random(3, seed=1), random(3, seed=2)
    ours, x = BatchNorm.like(theirs), random(6, 3, 4, 4)
    assert ours.weight is theirs.weight and ours.bias is theirs.bias
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)

"""Wrong labels: how many, which, and what they depend on."""

import math

import numpy as np
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mamlbench.data.counter_rng import hash64
from mamlbench.data.label_noise import with_label_noise

WAYS, SHOTS = st.integers(2, 12), st.integers(1, 6)
SHARES = st.floats(0, 1) | st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.0])
SEEDS = st.integers(0, 2**63 - 1)


def episode_labels(ways, shots, episodes):
    """Labels class after class, int64 ``[episodes, ways * shots]``."""
    return torch.arange(ways).repeat_interleave(shots).expand(episodes, -1)


def episode_keys(seed, episodes):
    return hash64(np.uint64(seed), np.arange(episodes))


@given(WAYS, SHOTS, SHARES, SEEDS)
def test_the_number_of_wrong_labels_is_the_share_rounded_down_or_up(ways, shots, share, seed):
    y = episode_labels(ways, shots, 20)
    noisy = with_label_noise(y, episode_keys(seed, 20), ways, share)
    wrong = (noisy != y).sum(1)
    exact = round(share * y.shape[1], 9)
    assert math.floor(exact) <= int(wrong.min()) and int(wrong.max()) <= math.ceil(exact)
    assert noisy.dtype == torch.int64 and int(noisy.min()) >= 0 and int(noisy.max()) < ways
    assert torch.equal(y, episode_labels(ways, shots, 20)), "the labels themselves are not changed"


@given(st.integers(1, 8), st.integers(0, 10), SEEDS)
def test_a_share_that_is_a_whole_number_of_labels_is_exact_in_every_episode(shots, tenths, seed):
    y = episode_labels(10, shots, 30)
    noisy = with_label_noise(y, episode_keys(seed, 30), 10, tenths / 10)
    assert ((noisy != y).sum(1) == tenths * shots).all()


def test_another_share_is_right_on_average():
    y = episode_labels(5, 1, 20_000)
    noisy = with_label_noise(y, episode_keys(7, 20_000), 5, 0.35)
    wrong = (noisy != y).double()
    assert set(wrong.sum(1).tolist()) == {1.0, 2.0}
    assert abs(float(wrong.mean()) - 0.35) < 4 * math.sqrt(0.75 * 0.25 / 20_000) / 5


@given(WAYS, SHOTS, SHARES, SEEDS, st.integers(1, 9))
def test_they_depend_on_the_episodes_key_alone(ways, shots, share, seed, split):
    y, keys = episode_labels(ways, shots, 10), episode_keys(seed, 10)
    parts = [with_label_noise(y[part], keys[part], ways, share) for part in (slice(split), slice(split, None))]
    assert torch.equal(with_label_noise(y, keys, ways, share), torch.cat(parts))


@given(WAYS, SHOTS, SHARES, SHARES, SEEDS)
def test_more_noise_keeps_the_wrong_labels_of_less(ways, shots, one, other, seed):
    assume(one <= other)
    y, keys = episode_labels(ways, shots, 10), episode_keys(seed, 10)
    less, more = (with_label_noise(y, keys, ways, share) for share in (one, other))
    assert torch.equal(less[less != y], more[less != y])


def test_every_label_and_every_other_class_is_as_probable():
    y = episode_labels(4, 2, 24_000)
    noisy = with_label_noise(y, episode_keys(1, 24_000), 4, 0.25)
    per_label = (noisy != y).double().mean(0)  # [8]
    assert float((per_label - 0.25).abs().max()) < 5 * math.sqrt(0.25 * 0.75 / 24_000)
    pairs = torch.zeros(4, 4).index_put_((y[noisy != y], noisy[noisy != y]), torch.tensor(1.0), accumulate=True)
    assert (pairs.diagonal() == 0).all()
    others = pairs[~torch.eye(4, dtype=torch.bool)]  # 12 pairs with 48,000 wrong labels
    assert float((others - 4000).abs().max()) < 5 * math.sqrt(4000)


def test_episodes_differ():
    y = episode_labels(5, 5, 50)
    noisy = with_label_noise(y, episode_keys(3, 50), 5, 0.2)
    assert len({tuple(labels) for labels in noisy.tolist()}) == 50

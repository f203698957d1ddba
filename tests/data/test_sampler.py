import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.api import Examples, ImageSplit, Options, TaskSampler, hash64


class Drawn(TaskSampler):
    pass


def make_sampler(episode_seed=0, training_seed=0):
    images = torch.arange(60, dtype=torch.uint8).view(60, 1, 1, 1)
    split = ImageSplit(images, np.arange(0, 61, 6), tuple("abcdefghij"))
    splits = {"train": split, "val": split, "test": split}
    return Drawn(splits, 3, episode_seed=episode_seed, training_seed=training_seed, options=Options())


def pixels(sampler, split, first, count):
    batch = sampler.episodes(split, first, count, shots=2, queries=1)
    return torch.cat([batch.support.x, batch.query.x], 1).flatten(1)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_any_division_into_batches_gives_the_same_episodes(split):
    sampler = make_sampler()
    whole = pixels(sampler, split, 0, 12)
    assert torch.equal(whole, torch.cat([pixels(sampler, split, first, 3) for first in range(0, 12, 3)]))
    assert torch.equal(whole[7:9], pixels(make_sampler(), split, 7, 2))
    assert len({tuple(row.tolist()) for row in whole}) == 12


@given(st.sampled_from(["train", "val", "test"]), st.integers(0, 50), st.integers(1, 4), st.integers(2, 10))
def test_other_ways_are_drawn_from_the_same_keys_and_the_usual_ones_stay_bit_for_bit(split, first, count, ways):
    sampler = make_sampler()
    usual, asked, other = (
        sampler.episodes(split, first, count, shots=2, queries=1, **more) for more in ({}, {"ways": 3}, {"ways": ways})
    )
    assert torch.equal(usual.support.x, asked.support.x) and torch.equal(usual.query.x, asked.query.x)
    assert torch.equal(usual.keys, other.keys)
    assert other.support.y.tolist() == [[way for way in range(ways) for _ in range(2)]] * count
    expected = sampler.splits[split].episodes(sampler.keys(split, first, count), ways, 2, 1)
    assert torch.equal(other.support.x, expected.support.x)


def test_test_episodes_depend_on_the_episode_seed_and_training_episodes_on_the_training_seed():
    base, reseeded, retrained = make_sampler(), make_sampler(episode_seed=1), make_sampler(training_seed=1)
    for split in ("val", "test"):
        assert torch.equal(pixels(base, split, 0, 5), pixels(retrained, split, 0, 5))
        assert not torch.equal(pixels(base, split, 0, 5), pixels(reseeded, split, 0, 5))
    assert torch.equal(pixels(base, "train", 0, 5), pixels(reseeded, "train", 0, 5))
    assert not torch.equal(pixels(base, "train", 0, 5), pixels(retrained, "train", 0, 5))


def test_splits_have_episodes_of_their_own_even_over_the_same_classes():
    sampler = make_sampler()
    keys = {split: set(sampler.keys(split, 0, 100).tolist()) for split in ("train", "val", "test")}
    assert len(set.union(*keys.values())) == 300


def test_labeled_minibatches_depend_on_seed_and_number_alone():
    sampler = make_sampler()
    first, second = sampler.labeled_examples("train", 0, 20), sampler.labeled_examples("train", 1, 20)
    assert torch.equal(first.x, make_sampler(episode_seed=5).labeled_examples("train", 0, 20).x)
    assert not torch.equal(first.x, second.x)
    assert not torch.equal(first.x, make_sampler(training_seed=1).labeled_examples("train", 0, 20).x)
    assert torch.equal((first.x.flatten() * 255).round().to(torch.int64) // 6, first.y)


@pytest.mark.parametrize("count", [1, 3, 40_000])
def test_labeled_minibatches_are_drawn_ahead_and_are_those_drawn_singly(count):
    sampler = make_sampler()
    for index in [0, 1, 2, 40, 17, 17, 3]:  # 17 and 3 were handed out or skipped before
        x, y = sampler.labeled_examples("train", index, count)
        key = hash64(sampler._seeds["train"], index)
        alone = sampler.splits["train"].labeled_examples(key, count)
        assert torch.equal(x, alone.x)
        assert torch.equal(y, alone.y)
        x.zero_()  # what a method does to its minibatch reaches no other


@pytest.mark.parametrize(("count", "ahead"), [(1, 16), (2**16, 16), (2**18, 4), (2**20, 1), (2**22, 1)])
def test_as_many_minibatches_are_drawn_ahead_as_fit_into_four_mebibytes(monkeypatch, count, ahead):
    """Images of one pixel take four bytes each."""
    sampler, drawn = make_sampler(), []

    def labeled_batches(split, keys, count):
        drawn.append(len(keys))
        return [Examples(torch.zeros(1), torch.zeros(1))] * len(keys)

    monkeypatch.setattr(ImageSplit, "labeled_batches", labeled_batches)
    for index in range(ahead):
        sampler.labeled_examples("train", index, count)
    assert drawn == [ahead]

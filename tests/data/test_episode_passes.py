"""Test episodes without replacement: passes over a split in which no image is used twice."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamlbench.api import ImageSplit, seed_key
from mamlbench.data.episode_passes import draw_in_passes
from mamlbench.errors import ConfigError

KEY = seed_key("test")


def make_split(sizes, rotations="none"):
    images = torch.randint(0, 256, (sum(sizes), 1, 4, 4), generator=torch.manual_seed(0), dtype=torch.uint8)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return ImageSplit(images, offsets, tuple(map(str, range(len(sizes)))), rotations)


@given(st.lists(st.integers(0, 4), min_size=3, max_size=9), st.integers(1, 3), st.integers(0, 2**64 - 1))
def test_a_pass_uses_each_block_at_most_once_and_as_many_as_fit(blocks, ways, key):
    blocks = np.array(blocks)
    per_pass = sum(int((blocks > number).sum()) // ways for number in range(blocks.max()))
    if per_pass == 0:
        with pytest.raises(ConfigError, match=f"fewer than {ways} classes have enough images"):
            draw_in_passes(np.uint64(key), np.arange(3), np.maximum(blocks, 0), ways)
        return
    numbers = np.arange(2 * per_pass)
    classes, of_class, passes = draw_in_passes(np.uint64(key), numbers, blocks, ways)
    assert passes.tolist() == [0] * per_pass + [1] * per_pass
    for number in (0, 1):
        in_pass = passes == number
        used = Counter(zip(classes[in_pass].ravel().tolist(), of_class[in_pass].ravel().tolist(), strict=True))
        assert set(used.values()) == {1}
        assert all(block < blocks[number] for number, block in used)
    assert all(len(set(episode)) == ways for episode in classes.tolist())


def test_an_episode_depends_on_its_number_alone():
    split = make_split((12,) * 7)
    whole = split.episodes_without_replacement(KEY, np.arange(40), 3, 1, 2)
    part = split.episodes_without_replacement(KEY, np.array([31, 5]), 3, 1, 2)
    for one, other in zip(whole, part, strict=True):
        for left, right in zip(
            *((value if isinstance(value, tuple) else [value]) for value in (one, other)), strict=True
        ):
            assert torch.equal(left[[31, 5]], right)
    other = split.episodes_without_replacement(seed_key("other"), np.arange(40), 3, 1, 2)
    assert not torch.equal(whole.classes, other.classes)


@given(st.lists(st.integers(3, 9), min_size=3, max_size=7))
def test_an_image_is_used_once_in_a_pass_and_belongs_to_its_class(sizes):
    split = make_split(sizes)
    per_pass = sum(sum(size // 3 > number for size in sizes) // 3 for number in range(3))
    batch = split.episodes_without_replacement(KEY, np.arange(per_pass), 3, 1, 2)
    assert len(batch.images.unique()) == batch.images.numel()
    owner = np.repeat(np.arange(len(sizes)), sizes)
    assert (owner[batch.images.numpy()] == batch.classes.numpy()[..., None]).all()
    pixels = split.images.float() * split.scale
    assert torch.equal(batch.support.x, pixels[batch.images[:, :, 0]])
    assert torch.equal(batch.query.x, pixels[batch.images[:, :, 1:].flatten(1)])


def test_every_class_and_image_is_as_likely_as_another():
    split = make_split((6,) * 7)  # two episodes of three classes in each of two rounds: one class is left over
    batch = split.episodes_without_replacement(KEY, np.arange(4 * 600), 3, 1, 2)
    classes = np.bincount(batch.classes.ravel(), minlength=7)
    assert stats.chisquare(classes).pvalue > 1e-3
    support = np.bincount(batch.images[:, :, 0].ravel(), minlength=42)
    assert stats.chisquare(support).pvalue > 1e-3


def test_what_cannot_be_used_up_is_refused():
    with pytest.raises(ConfigError, match="rotations that are classes share images"):
        make_split((6,) * 7, "classes").episodes_without_replacement(KEY, np.arange(2), 3, 1, 2)
    with pytest.raises(ConfigError, match="7 examples per class were requested"):
        make_split((6,) * 7).episodes_without_replacement(KEY, np.arange(2), 3, 1, 6)

"""Features in place of images: the same episodes, classes and hash."""

import numpy as np
import pytest
import torch

from mamlbench.api import Augmentation, ImageSplit
from mamlbench.data.encoded_split import EncodedSplit, FeatureCost, images_of, network_images
from mamlbench.data.image_split import Normalization
from mamlbench.errors import ConfigError

KEYS = np.array([1, 2, 3], np.uint64)
COST = FeatureCost(1.0, 2.0)


def split(rotations="none", **fields):
    images = torch.randint(0, 256, (20, 1, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    # the rows of the second half of a larger set, so that positions and rows differ
    starts = np.array([8, 12, 16])
    return ImageSplit(images, np.arange(0, 13, 4), ("a", "b", "c"), rotations, starts=starts, **fields)


def flat(images):
    """What an encoder of this file computes: the pixels themselves."""
    return images.flatten(1)


def encoded(original):
    turns = range(1 if original.rotations == "none" else 4)
    how = {"normalization": original.normalization, "device": torch.device("cpu")}
    features = [flat(network_images(original, original.rows, turn, (1, 6, 6), **how)) for turn in turns]
    return EncodedSplit.of(original, torch.stack(features), COST)


@pytest.mark.parametrize("rotations", ["none", "episode", "classes"])
@pytest.mark.parametrize("normalization", [None, Normalization((0.3,), (0.2,))])
def test_episodes_are_the_features_of_the_images_of_the_same_episode(rotations, normalization):
    original = split(rotations, normalization=normalization)
    features = encoded(original)
    before, after = (one.episodes(KEYS, 2, 1, 2) for one in (original, features))
    for part in ("support", "query"):
        x = getattr(before, part).x
        torch.testing.assert_close(getattr(after, part).x, x.flatten(2))
        assert torch.equal(getattr(after, part).y, getattr(before, part).y)
    assert torch.equal(before.classes, after.classes) and torch.equal(before.images, after.images)
    assert features.hash == original.hash and features.size == original.size and features.input_shape == (36,)
    labeled = features.labeled_examples(KEYS[0], 5), original.labeled_examples(KEYS[0], 5)
    torch.testing.assert_close(labeled[0].x, labeled[1].x.flatten(1))


def test_it_moves_and_knows_its_images():
    original = split()
    features = encoded(original)
    moved = features.to(torch.device("cpu"))
    assert images_of(moved) is original and images_of(original) is original and moved.cost == COST
    assert torch.equal(moved.episodes(KEYS, 2, 1, 1).query.x, features.episodes(KEYS, 2, 1, 1).query.x)
    without = features.episodes_without_replacement(KEYS[0], np.arange(2), 2, 1, 1)
    assert without.query.x.shape == (2, 2, 36)


def test_augmented_images_and_new_images_have_no_features():
    with pytest.raises(ConfigError, match="augmented images have no features"):
        encoded(split(augmentation=Augmentation(flip=True)))
    with pytest.raises(ConfigError, match="images of the data set alone"):
        encoded(split()).normalize_images(torch.zeros(1, 1, 6, 6, dtype=torch.uint8))

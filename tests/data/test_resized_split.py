"""Images that are resized and recolored when they are read."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.api import Dataset, DatasetInfo, ImageSplit
from mamlbench.data.image_split import Normalization
from mamlbench.data.resized_split import ResizedSplit, convert_pixels, resized_dataset

KEYS = np.array([1, 2], np.uint64)


def split(channels=3, side=12, normalization=None, rotations="none"):
    generator = torch.Generator().manual_seed(side)
    images = torch.randint(0, 256, (12, channels, side, side), generator=generator, dtype=torch.uint8)
    return ImageSplit(images, np.arange(0, 13, 4), ("a", "b", "c"), rotations, normalization=normalization)


def dataset(**fields):
    class Three(Dataset):
        info = DatasetInfo("three", "none", "none")

        def load(self):
            return {name: split(**fields) for name in ("train", "val", "test")}

    return Three(None, None)


@given(
    source=st.sampled_from([1, 3]), target=st.sampled_from([1, 3]), side=st.integers(2, 20), new_side=st.integers(2, 20)
)
def test_a_constant_image_stays_constant_and_values_stay_in_range(source, target, side, new_side):
    pixels = torch.full((2, source, side, side), 0.25)
    pixels[1] = torch.rand(source, side, side, generator=torch.Generator().manual_seed(side))
    converted = convert_pixels(pixels, (target, new_side, new_side))
    assert converted.shape == (2, target, new_side, new_side)
    torch.testing.assert_close(converted[0], torch.full_like(converted[0], 0.25))
    assert converted.min() >= pixels.min() - 1e-5 and converted.max() <= pixels.max() + 1e-5


def test_gray_values_are_weighted_as_pillow_weights_them():
    pixels = torch.eye(3)[:, :, None, None].expand(3, 3, 2, 2)
    torch.testing.assert_close(convert_pixels(pixels, (1, 2, 2))[:, 0, 0, 0], torch.tensor([0.299, 0.587, 0.114]))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 20), (1, 12, 12)])
@pytest.mark.parametrize("rotations", ["none", "classes"])
def test_episodes_have_the_shape_and_are_those_of_the_split_converted(shape, rotations):
    original = split(rotations=rotations)
    resized = resized_dataset(dataset(rotations=rotations), shape).splits["test"]
    assert isinstance(resized, ResizedSplit) and resized.input_shape == shape and resized.size == original.size
    before, after = (one.episodes(KEYS, 2, 1, 1) for one in (original, resized))
    assert torch.equal(before.classes, after.classes) and torch.equal(before.images, after.images)
    expected = convert_pixels(before.query.x.flatten(0, 1), shape).view_as(after.query.x)
    torch.testing.assert_close(after.query.x, expected)
    assert resized.hash != original.hash and len(resized.labeled_examples(KEYS[0], 5).x) == 5
    uint8 = original.images[:2]
    torch.testing.assert_close(resized.normalize_images(uint8), convert_pixels(uint8 / 255, shape))


def test_channels_are_normalized_as_the_converted_training_images_are():
    old = Normalization((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    splits = resized_dataset(dataset(normalization=old), (1, 12, 12)).splits
    measured = splits["test"].normalization
    assert len(measured.mean) == 1 and measured == splits["train"].normalization
    x = splits["train"].normalize_images(splits["train"].images)
    assert abs(float(x.mean())) < 1e-5 and abs(float(x.std(correction=0)) - 1) < 1e-5


def test_what_has_the_shape_or_is_no_image_is_returned_as_it_is():
    same = dataset()
    assert resized_dataset(same, (3, 12, 12)) is same
    assert resized_dataset(same, (7,)) is same and resized_dataset(same, (2, 12, 12)) is same
    assert resized_dataset(same, (1, 6, 6)) is not same and same.splits["test"].input_shape == (3, 12, 12)

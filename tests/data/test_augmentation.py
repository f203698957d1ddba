import numpy as np
import pytest
import torch
import torchvision.transforms.functional as reference
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.api import Augmentation, hash64, seed_key
from mamlbench.data.counter_rng import uniform

N = 200


def images(channels=3, side=12):
    return torch.rand(N, channels, side, side, generator=torch.Generator().manual_seed(1))


KEYS = hash64(seed_key("augment"), np.arange(N))
EVERY = Augmentation(crop=0.4, flip=True, jitter=0.4)


def test_without_options_nothing_changes():
    x = images()
    assert torch.equal(Augmentation()(x, KEYS), x)


@given(st.sampled_from([1, 3]), st.floats(0.1, 1), st.booleans(), st.floats(0, 1))
def test_images_keep_shape_and_range(channels, crop, flip, jitter):
    x = Augmentation(crop, flip, jitter)(images(channels), KEYS)
    assert x.shape == (N, channels, 12, 12) and x.dtype == torch.float32
    assert x.min() >= 0 and x.max() <= 1


def test_each_image_depends_on_its_own_key_alone():
    x = images()
    whole = EVERY(x, KEYS)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(EVERY(x[order], KEYS[order.numpy()]), whole[order])
    torch.testing.assert_close(EVERY(x[:3], KEYS[:3]), whole[:3])
    assert not torch.allclose(EVERY(x, hash64(KEYS, 1)), whole)


@pytest.mark.parametrize("crop", [1, 0.9999999])
def test_half_the_images_are_mirrored(crop):
    x = images()
    augmented = Augmentation(crop=crop, flip=True)(x, KEYS)
    mirrored = torch.isclose(augmented, x.flip(-1), atol=1e-3).flatten(1).all(1)
    unchanged = torch.isclose(augmented, x, atol=1e-3).flatten(1).all(1)
    assert (mirrored ^ unchanged).all()
    assert 70 < mirrored.sum() < 130


def test_a_crop_shows_a_piece_of_the_image_at_full_size():
    """If the value of a pixel is its position, the result shows position and size of the crop."""
    side = 64
    ramp = (torch.arange(side) + 0.5) / side
    x = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side)]).expand(N, 2, side, side)
    across, down = Augmentation(crop=0.25)(x, KEYS).unbind(1)
    widths = (across[:, 0, -1] - across[:, 0, 0]) * side / (side - 1)
    heights = (down[:, -1, 0] - down[:, 0, 0]) * side / (side - 1)
    torch.testing.assert_close(widths, heights, rtol=0, atol=0.02)
    area = widths * heights
    assert 0.23 < area.min() < 0.35 and 0.9 < area.max() < 1.01
    assert across[:, 0, 0].min() >= ramp[0] and across[:, 0, -1].max() <= ramp[-1] + 1e-6
    assert across[:, 0, 0].max() > 0.2, "crops have different positions"


def test_color_changes_are_those_of_torchvision():
    x = images()
    chance = uniform(KEYS[:, None], np.arange(7))[:, 4:]
    factors = 1 + 0.4 * (2 * chance - 1)
    augmented = Augmentation(jitter=0.4)(x, KEYS)
    for result, image, (brightness, contrast, saturation) in zip(augmented, x, factors.tolist(), strict=True):
        expected = reference.adjust_brightness(image, brightness)
        expected = reference.adjust_contrast(expected, contrast)
        expected = reference.adjust_saturation(expected, saturation)
        torch.testing.assert_close(result, expected, rtol=0, atol=2e-3)


def test_gray_images_have_no_saturation():
    x = Augmentation(jitter=0.5)(images(1), KEYS)
    assert x.std() > 0.1

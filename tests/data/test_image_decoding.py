import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mamlbench.api import ImageFormat, ImageSplit, Normalization


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def sketch(ink, paper, mode="L"):
    image = Image.new(mode, (40, 40), paper)
    ImageDraw.Draw(image).rectangle((12, 12, 26, 26), ink)
    return image


@pytest.mark.parametrize("image", [sketch(0, 255), sketch(255, 0), sketch((0, 0, 0, 255), (0, 0, 0, 0), "RGBA")])
@pytest.mark.parametrize("ink", [0, 1])
def test_the_border_is_taken_for_background(image, ink):
    pixels = ImageFormat(20, 1, polarity=ink).decode(encoded(image))
    assert pixels[0, 10, 10] == 255 * ink and pixels[0, 0, 0] == 255 * (1 - ink)


def test_photographs_keep_their_colors():
    image = sketch((10, 200, 30), (250, 250, 240), "RGB")
    pixels = ImageFormat(40).decode(encoded(image))
    assert (pixels.transpose(1, 2, 0) == np.asarray(image)).all()


def test_transparent_palette_colors_become_white():
    image = sketch((200, 0, 0), (0, 0, 90), "RGB").quantize(2)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=image.getpixel((0, 0)))
    pixels = ImageFormat(40).decode(file.getvalue())
    assert pixels[:, 0, 0].tolist() == [255, 255, 255] and pixels[:, 20, 20].tolist() == [200, 0, 0]


def test_other_images_are_normalized_as_those_of_the_split():
    images = torch.randint(0, 256, (6, 3, 4, 4), generator=torch.manual_seed(0), dtype=torch.uint8)
    split = ImageSplit(
        images, np.array([0, 3, 6]), ("a", "b"), normalization=Normalization((0.5, 0.4, 0.3), (0.2,) * 3)
    )
    episode = split.episodes(np.array([7], np.uint64), 2, 3, 0)
    normalized = split.normalize_images(images)
    for image in episode.support.x[0]:
        assert any(torch.equal(image, other) for other in normalized)

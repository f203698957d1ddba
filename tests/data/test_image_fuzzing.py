"""Random damage to images of many formats: each file is decoded or named, and nothing else happens."""

import io
import random
import tracemalloc

import numpy as np
import pytest
from PIL import Image, features

from mamlbench.api import ImageFile, ImageFormat, decode_images, no_progress
from mamlbench.errors import DamagedImagesError

CASES = 2000
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "PCX", "ICO", "JPEG2000", "QOI"]
MODES = ["L", "RGB", "P", "RGBA", "I;16"]


def sound_images():
    """Images of every format in every mode that it has, by format."""
    gray = (np.add.outer(np.arange(40), np.arange(40)) * 3 % 256).astype(np.uint8)
    for kind in FORMATS:
        for mode in MODES:
            image = Image.fromarray(gray.astype(np.uint16) * 257 if mode == "I;16" else gray)
            file = io.BytesIO()
            try:
                (image if mode == "I;16" else image.convert(mode)).save(file, kind)
            except (OSError, KeyError, ValueError):  # the format has no such mode
                continue
            yield kind, file.getvalue()


def damaged(content, other, source):
    """Change, cut off, remove or exchange some bytes."""
    content, way = bytearray(content), source.random()
    if way < 0.2:
        return bytes(content[: source.randrange(len(content))])
    if way < 0.8:
        for _ in range(source.choice([1, 1, 2, 8, 30])):
            content[source.randrange(min(len(content), source.choice([200, 10**6])))] = source.randrange(256)
        return bytes(content)
    if way < 0.9:
        del content[source.randrange(len(content)) : source.randrange(len(content))]
        return bytes(content)
    place = source.randrange(60)
    return bytes(other[:place] + content[place:])


@pytest.mark.filterwarnings("ignore")  # Pillow warns of metadata that it cannot read
@pytest.mark.skipif(not (features.check("jpg_2000") and features.check("webp")), reason="a Pillow without a format")
def test_every_damaged_file_is_decoded_or_named():
    source, seeds = random.Random(0), list(sound_images())
    assert {kind for kind, _ in seeds} == set(FORMATS)
    contents = [damaged(*(source.choice(seeds)[1] for _ in range(2)), source) for _ in range(CASES)]
    files = [ImageFile(number, f"{number}.png", content) for number, content in enumerate(contents)]
    tracemalloc.start()
    decoded, named = [], ()
    try:
        for number, pixels in decode_images(files, ImageFormat(8), CASES, "images", no_progress):
            assert pixels.shape == (3, 8, 8) and pixels.dtype == np.uint8
            decoded.append(number)
    except DamagedImagesError as error:
        named = error.damaged
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    numbers = sorted([*decoded, *(int(text[1:].partition(".")[0]) for text in named)])
    assert numbers == list(range(CASES))
    assert len(decoded) > CASES / 10 and len(named) > CASES / 2 and peak < 1e9

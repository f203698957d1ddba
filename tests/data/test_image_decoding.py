import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, features

from mamlbench.api import (
    ImageFile,
    ImageFormat,
    ImageSplit,
    ImageTree,
    Normalization,
    decode_images,
    is_image,
    no_progress,
)
from mamlbench.data import image_decoding
from mamlbench.data.image_decoding import needs_package
from mamlbench.errors import DamagedImagesError, DataError


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


# ------------------------------------------------------------------------------------- more than 8 bits, odd files

RAMP = np.tile(np.linspace(0, 65535, 64), (64, 1))  # [64, 64], 64 gray values


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("PNG", RAMP.astype(np.uint16)),
        ("TIFF", RAMP.astype(np.uint16)),
        ("TIFF", RAMP.astype(">u2")),
        ("PPM", RAMP.astype(np.uint16)),
        ("TIFF", RAMP.astype(np.int32)),
        ("TIFF", (RAMP / 65535).astype(np.float32)),
    ],
    ids=["png-16", "tiff-16", "tiff-16-big-endian", "pgm-16", "tiff-32", "tiff-float"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_values_of_more_than_8_bits_are_scaled_and_not_cut_off(kind, values, channels):
    pixels = ImageFormat(64, channels).decode(encoded(Image.fromarray(values), kind))
    assert np.abs(pixels - RAMP / 257).max() <= 1
    assert len(np.unique(pixels)) == 64


def test_bits_that_are_not_used_can_be_named_and_are_noticed(caplog):
    image = encoded(Image.fromarray((RAMP / 16).astype(np.uint16)))  # 12 of 16 bits
    assert len(np.unique(ImageFormat(64, 1).decode(image))) == 17
    assert "gray values up to 4,095, and white is 65,535" in caplog.text and "gray_bits=12" in caplog.text
    caplog.clear()
    pixels = ImageFormat(64, 1, gray_bits=12).decode(image)
    assert np.abs(pixels - RAMP / 257).max() <= 1 and not caplog.text
    with pytest.raises(ValueError, match="from 0 to 4,095 and not from 0 to 1,023"):
        ImageFormat(64, 1, gray_bits=10).decode(image)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((4, 4), 70000, np.int32), "its gray values are from 70,000 to 70,000 and not from 0 to 65,535"),
        (np.full((4, 4), -1, np.int32), "from -1 to -1 "),
        (np.full((4, 4), 200, np.float32), "from 200 to 200 and not from 0 to 1"),
        (np.full((4, 4), np.nan, np.float32), "from nan to nan"),
    ],
    ids=["above", "negative", "float", "nan"],
)
def test_gray_values_of_an_unknown_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ImageFormat(4, 1).decode(encoded(Image.fromarray(values), "TIFF"))


def decode(**contents):
    """Decode files; what is wrong with them, in one text."""
    files = [ImageFile(row, name, content) for row, (name, content) in enumerate(contents.items())]
    try:
        return [row for row, _ in decode_images(files, ImageFormat(8), len(files), "images", no_progress)]
    except DamagedImagesError as error:
        return " ".join(error.damaged)


def bomb(width, height):
    """A PNG of that many black pixels, 1 bit each."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (1, 89_000_001), (10_000, 9_000)])
def test_pictures_of_too_many_pixels_are_refused_before_they_are_decoded(width, height):
    content = bomb(width, height)
    assert len(content) < 100_000
    tracemalloc.start()
    message = decode(bomb=content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "'bomb' (" in message and "89,000,000 are decoded" in message and peak < 5_000_000


def test_the_content_decides_and_not_the_suffix(monkeypatch):
    without_heif = tuple(name for name in image_decoding._formats() if name != "HEIF")
    monkeypatch.setattr(image_decoding, "_formats", lambda: without_heif)
    png, jpeg = encoded(sketch(0, 255)), encoded(sketch(0, 255), "JPEG")
    assert decode(a=png, b=jpeg, c=encoded(sketch(0, 255), "WEBP")) == [0, 1, 2]
    message = decode(
        good=png,
        text=b"no picture",
        empty=b"",
        script=b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        phone=b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        gone=FileNotFoundError("gone"),
    )
    assert message == (
        "'empty' (empty) 'gone' (gone) 'phone' (HEIC, which pip install 'mamlbench[heif]' makes readable; or save it "
        "as JPEG or PNG) "
        "'script' (no image) 'text' (no image)"
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "PCX"])
def test_a_truncated_image_is_damaged_or_whole_but_never_in_part(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    content = encoded(Image.fromarray(pixels).convert("RGB" if kind == "WEBP" else "L"), kind)
    whole = ImageFormat(40, 1).decode(content)
    for length in range(1, len(content), 13):
        try:
            part = ImageFormat(40, 1).decode(content[:length])
        except Exception:  # Pillow raises nearly anything, and decode_images names the file
            continue
        assert (part == whole).all(), f"{length} of {len(content)} bytes"


@given(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF"]), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))))
def test_changed_bytes_are_an_image_or_a_named_error(kind, changes):
    content = bytearray(encoded(sketch(0, 255), kind))
    for position, value in changes:
        content[position % len(content)] = value
    assert decode(changed=bytes(content)) == [0] or "'changed' (" in decode(changed=bytes(content))


# ------------------------------------------------------------------------------------------------------ normalization


def test_other_images_are_normalized_as_those_of_the_split():
    images = torch.randint(0, 256, (6, 3, 4, 4), generator=torch.manual_seed(0), dtype=torch.uint8)
    split = ImageSplit(
        images, np.array([0, 3, 6]), ("a", "b"), normalization=Normalization((0.5, 0.4, 0.3), (0.2,) * 3)
    )
    episode = split.episodes(np.array([7], np.uint64), 2, 3, 0)
    normalized = split.normalize_images(images)
    for image in episode.support.x[0]:
        assert any(torch.equal(image, other) for other in normalized)


def test_photographs_of_phones_are_read_if_their_package_is_installed():
    heif = pytest.importorskip("pillow_heif")
    picture = Image.new("RGB", (16, 16), (200, 30, 30))
    buffer = io.BytesIO()
    heif.from_pillow(picture).save(buffer, format="HEIF")
    assert ImageFormat(8).decode(buffer.getvalue())[0].mean() > 150
    assert is_image("a.HEIC") and is_image("a.heif") and needs_package("a.heic") == ""


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_avif_is_read():
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, "AVIF")
    assert ImageFormat(8).decode(buffer.getvalue())[0].mean() > 150


def test_what_no_package_here_reads_is_no_image_and_named(monkeypatch):
    monkeypatch.setattr(image_decoding, "_formats", lambda: ("PNG", "JPEG"))
    assert not is_image("a.HEIC") and not is_image("x/b.avif") and is_image("c.png")
    assert needs_package("a.heic") == "pip install 'mamlbench[heif]'" and needs_package("c.png") == ""
    tree = ImageTree.read(["cat/a.png", "cat/b.HEIC", "dog/a.png", "dog/c.avif", "dog/notes.txt"], "here", "")
    assert tree.notes() == [
        "1 file is no image and left out: 1 .txt (dog/notes.txt)",
        "1 photograph is left out and can be read after pip install 'mamlbench[heif]': cat/b.HEIC",
        "1 photograph is left out and can be read after pip install -U pillow: dog/c.avif",
    ]
    with pytest.raises(DataError, match=r"holds no image. 2 photographs are left out and can be read after pip .*heif"):
        ImageTree.read(["cat/a.heic", "dog/b.heic"], "here", "It needs images.")

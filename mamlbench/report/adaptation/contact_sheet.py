"""A contact sheet: every class with its support images and the images predicted as that class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mamlbench.record import Adaptation, LabeledImage

COLUMNS, TILE, IMAGE, LINE = 8, 128, 104, 15
"""Tiles in a row; pixels of a tile, of the image in it, and of a line of text."""

MAX_IMAGES = 40
"""Images shown per label; the CSV has all."""

PAPER, TEXT, FAINT = "#ffffff", "#1a1a1a", "#777777"
FRAMES = {"support": "#8c8c8c", "unlabeled": "#3572b0", "correct": "#2e8b57", "wrong": "#c0392b"}
"""Colors of frames. A caption explains each, so that color is not the only cue."""


@dataclass(frozen=True)
class ImageTile:
    """One image on the sheet, with two lines below it."""

    path: Path
    frame: str
    caption: tuple[str, str]


def contact_sheet(adaptation: Adaptation) -> Image.Image:
    """Draw the sheet: RGB, ``COLUMNS`` tiles wide and as high as needed."""
    sections = [(name, _tiles(adaptation, name), _more(adaptation, name)) for name in adaptation.classes]
    height = 3 * LINE + sum(_height(len(tiles)) for _, tiles, _ in sections) + LINE
    sheet = Image.new("RGB", (COLUMNS * TILE + LINE, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    bold, plain = _font(13, "-Bold"), _font(11)
    draw.text((LINE, LINE // 2), _title(adaptation), TEXT, bold)
    legend = "gray: support; blue: unlabeled; green and red: held out, correct and wrong"
    draw.text((LINE, 2 * LINE), legend, FAINT, plain)
    top = 3 * LINE + LINE // 2
    for name, tiles, more in sections:
        draw.line((LINE, top, sheet.width - LINE, top), FAINT)
        draw.text((LINE, top + 4), _elide(draw, f"{name}{more}", bold, sheet.width - 2 * LINE), TEXT, bold)
        for index, tile in enumerate(tiles):
            corner = (LINE + index % COLUMNS * TILE, top + 2 * LINE + index // COLUMNS * (TILE + LINE))
            _draw(sheet, draw, tile, corner, plain)
        top += _height(len(tiles))
    return sheet


def _tiles(adaptation: Adaptation, name: str) -> list[ImageTile]:
    folder = Path(adaptation.folder)
    support = [image for image in adaptation.used_as("support") if image.truth == name]
    shown = [*support[:MAX_IMAGES], *_predicted(adaptation, name)[:MAX_IMAGES]]
    return [ImageTile(folder / image.file, *_frame_and_caption(image, adaptation)) for image in shown]


def _predicted(adaptation: Adaptation, name: str) -> list[LabeledImage]:
    """Return the images predicted as this class, the most probable first."""
    predicted = [image for image in adaptation.images if image.label == name]
    return sorted(predicted, key=lambda image: (-image.probability, image.file))


def _more(adaptation: Adaptation, name: str) -> str:
    left_out = len(_predicted(adaptation, name)) - MAX_IMAGES
    return f" (and {left_out} more in the CSV)" if left_out > 0 else ""


def _frame_and_caption(image: LabeledImage, adaptation: Adaptation) -> tuple[str, tuple[str, str]]:
    file = image.file.rpartition("/")[2]
    if image.use == "support":
        return FRAMES["support"], ("corrected" if image.corrected else "support", file)
    probability = f"{100 * image.probability:.0f} %{', unsure' if adaptation.is_unsure(image) else ''}"
    if image.use == "unlabeled":
        return FRAMES["unlabeled"], (probability, file)
    if image.label == image.truth:
        return FRAMES["correct"], (f"{probability}, correct", file)
    return FRAMES["wrong"], (f"{probability}, is {image.truth}", file)


def _draw(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    tile: ImageTile,
    corner: tuple[int, int],
    font: ImageFont.FreeTypeFont,
) -> None:
    left, top = corner
    with Image.open(tile.path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    scale = IMAGE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    sheet.paste(image, (left + (IMAGE - image.width) // 2, top + (IMAGE - image.height) // 2))
    draw.rectangle((left - 2, top - 2, left + IMAGE + 1, top + IMAGE + 1), outline=tile.frame, width=2)
    for index, line in enumerate(tile.caption):
        position = (left, top + IMAGE + 2 + index * (LINE - 2))
        draw.text(position, _elide(draw, line, font, TILE - 8), TEXT if index == 0 else FAINT, font)


def _elide(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shorten the text to a width in pixels."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(f"{text}…", font) > width:
        text = text[:-1]
    return f"{text}…"


def _height(tiles: int) -> int:
    rows = -(-tiles // COLUMNS)
    return 2 * LINE + rows * (TILE + LINE) + LINE // 2


def _title(adaptation: Adaptation) -> str:
    name = Path(adaptation.folder).resolve().name
    return f"{name}: {adaptation.algorithm} trained on {adaptation.dataset}, {_score(adaptation)}"


def _score(adaptation: Adaptation) -> str:
    score = adaptation.held_out
    return "nothing held out" if score is None else f"{score.right} of {score.images} held-out images correct"


def _font(size: int, style: str = "") -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which matplotlib ships and which has the letters of most languages."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{style}.ttf", size)

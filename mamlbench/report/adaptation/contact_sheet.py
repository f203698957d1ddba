"""A contact sheet: every class with the images it was learned from and those that were given its label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mamlbench.record import Adaptation, LabeledImage

COLUMNS, CELL, IMAGE, LINE = 8, 128, 104, 15
"""Cells in a row; pixels of a cell, of the image in it, and of a line of text."""

MOST = 40
"""Images shown of those with one label; the CSV has all."""

PAPER, TEXT, FAINT = "#ffffff", "#1a1a1a", "#777777"
FRAMES = {"given": "#8c8c8c", "unlabeled": "#3572b0", "right": "#2e8b57", "wrong": "#c0392b"}
"""Colors of frames; what they mean is said in words too."""


@dataclass(frozen=True)
class Cell:
    """One image on the sheet, with two lines below it."""

    path: Path
    frame: str
    lines: tuple[str, str]


def contact_sheet(adaptation: Adaptation) -> Image.Image:
    """Draw the sheet: RGB, as wide as ``COLUMNS`` cells and as high as it takes."""
    sections = [(name, _cells(adaptation, name), _more(adaptation, name)) for name in adaptation.classes]
    height = 3 * LINE + sum(_height(len(cells)) for _, cells, _ in sections) + LINE
    sheet = Image.new("RGB", (COLUMNS * CELL + LINE, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    bold, plain = _font(13, "-Bold"), _font(11)
    draw.text((LINE, LINE // 2), _title(adaptation), TEXT, bold)
    draw.text(
        (LINE, 2 * LINE), "gray: learned from; blue: labeled; green and red: held out, right and wrong", FAINT, plain
    )
    top = 3 * LINE + LINE // 2
    for name, cells, more in sections:
        draw.line((LINE, top, sheet.width - LINE, top), FAINT)
        draw.text((LINE, top + 4), _fitted(draw, f"{name}{more}", bold, sheet.width - 2 * LINE), TEXT, bold)
        for number, cell in enumerate(cells):
            corner = (LINE + number % COLUMNS * CELL, top + 2 * LINE + number // COLUMNS * (CELL + LINE))
            _draw(sheet, draw, cell, corner, plain)
        top += _height(len(cells))
    return sheet


def _cells(adaptation: Adaptation, name: str) -> list[Cell]:
    folder = Path(adaptation.folder)
    given = [image for image in adaptation.used_as("given") if image.truth == name]
    shown = [*given[:MOST], *_labeled(adaptation, name)[:MOST]]
    return [Cell(folder / image.file, *_looks(image)) for image in shown]


def _labeled(adaptation: Adaptation, name: str) -> list[LabeledImage]:
    """Images with this label, the surest first."""
    found = [image for image in adaptation.images if image.label == name]
    return sorted(found, key=lambda image: (-image.probability, image.file))


def _more(adaptation: Adaptation, name: str) -> str:
    left_out = len(_labeled(adaptation, name)) - MOST
    return f" (and {left_out} more in the CSV)" if left_out > 0 else ""


def _looks(image: LabeledImage) -> tuple[str, tuple[str, str]]:
    file = image.file.rpartition("/")[2]
    if image.use == "given":
        return FRAMES["given"], ("learned from", file)
    sure = f"{100 * image.probability:.0f} %"
    if image.use == "unlabeled":
        return FRAMES["unlabeled"], (sure, file)
    if image.label == image.truth:
        return FRAMES["right"], (f"{sure}, right", file)
    return FRAMES["wrong"], (f"{sure}, is {image.truth}", file)


def _draw(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, corner: tuple[int, int], font: ImageFont.FreeTypeFont
) -> None:
    left, top = corner
    with Image.open(cell.path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    scale = IMAGE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    place = (left + (IMAGE - image.width) // 2, top + (IMAGE - image.height) // 2)
    sheet.paste(image, place)
    draw.rectangle((left - 2, top - 2, left + IMAGE + 1, top + IMAGE + 1), outline=cell.frame, width=2)
    for number, line in enumerate(cell.lines):
        at = (left, top + IMAGE + 2 + number * (LINE - 2))
        draw.text(at, _fitted(draw, line, font, CELL - 8), TEXT if number == 0 else FAINT, font)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, cut to a width in pixels."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(f"{text}…", font) > width:
        text = text[:-1]
    return f"{text}…"


def _height(cells: int) -> int:
    rows = -(-cells // COLUMNS)
    return 2 * LINE + rows * (CELL + LINE) + LINE // 2


def _title(adaptation: Adaptation) -> str:
    name = Path(adaptation.folder).resolve().name
    return f"{name}: {adaptation.algorithm} trained on {adaptation.dataset}, {_score(adaptation)}"


def _score(adaptation: Adaptation) -> str:
    score = adaptation.held_out
    return "nothing held out" if score is None else f"{score.right} of {score.images} held out right"


def _font(size: int, style: str = "") -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib ships: it has the letters of most languages."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{style}.ttf", size)

"""Drawings that a few steps can distinguish, models to adapt to them, and ``mamlbench adapt`` on them."""

import csv
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode

SHAPES = {
    "bar": lambda draw, at: draw.line((at, 20, at, 80), "black", 9),
    "dash": lambda draw, at: draw.line((20, at, 80, at), "black", 9),
    "ring": lambda draw, at: draw.ellipse((at - 22, at - 22, at + 22, at + 22), outline="black", width=9),
    "dot": lambda draw, at: draw.ellipse((at - 14, at - 14, at + 14, at + 14), "black"),
    "cross": lambda draw, at: (
        draw.line((at - 25, 25, at + 25, 75), "black", 9),
        draw.line((at - 25, 75, at + 25, 25), "black", 9),
    ),
}


def draw(path, shape, number, mode="L"):
    image = Image.new("RGB", (100, 100), "white")
    SHAPES[shape](ImageDraw.Draw(image), 40 + 5 * number)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert(mode).save(path)


def draw_folder(folder, shapes=tuple(SHAPES), support=2, unlabeled=2):
    for shape in shapes:
        for number in range(support):
            draw(folder / shape / f"{number}.png", shape, number)
        for number in range(unlabeled):
            draw(folder / "unlabeled" / f"{shape}-{number}.jpg", shape, number + 3)
    return folder


def train(folder, cache, *algorithms):
    """Records of small models on glyphs, by algorithm."""
    arguments = [
        "--iterations",
        "5",
        "--test-episodes",
        "4",
        "--validation-episodes",
        "4",
        "-q",
        "-o",
        "backbone.width=16",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MAMLBENCH_CACHE", str(cache))
        for algorithm in algorithms:
            assert main(["run", "--algo", algorithm, *arguments]) == ExitCode.OK
    return {path.name.split("-")[2]: path for path in (folder / "results").glob("*.json")}


def call(capsys, *arguments):
    capsys.readouterr()
    code = main(["adapt", *map(str, arguments)])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def written(folder, name="predictions.csv"):
    """A file that adapt wrote for a folder of images, where it is unless the user names another place."""
    return Path("results", "adapted", folder.name, name)


def rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))

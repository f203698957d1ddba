from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from mamlbench_plugins.datasets.glyph_classes import class_name, common_letters, merge_look_alikes
from mamlbench_plugins.datasets.glyph_drawing import Face
from mamlbench_plugins.datasets.glyphs import FACES


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    return [Face(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name) for name in FACES]


def classes_of(letters: str, faces: list[Face]) -> list[str]:
    return merge_look_alikes(letters, [[face.outline(char) for char in letters] for face in faces])


def test_common_letters_are_plain(faces: list[Face]) -> None:
    letters = common_letters(faces)
    assert len(letters) > 600
    assert set("AaΩжՖშ") <= set(letters)
    assert not set("éЙάǆʰª1!") & set(letters)


@pytest.mark.parametrize("alike", ["AΑА", "OoΟοОо", "CcСс", "Uu", "Vv", "Xx", "IΙІ", "BВв", "Жж"])
def test_look_alikes_are_one_class(alike: str, faces: list[Face]) -> None:
    letters = "".join(sorted(alike))
    assert classes_of(letters, faces) == [letters]


@pytest.mark.parametrize("different", ["Aa", "OQ", "CG", "bd", "pq", "bh", "ec", "EF", "NИ", "ΘO", "მშ"])
def test_different_letters_stay_apart(different: str, faces: list[Face]) -> None:
    assert classes_of(different, faces) == sorted(different)


def test_names_are_readable_and_distinguish_scripts() -> None:
    assert [class_name(char) for char in "aΑშ"] == ["Latin/small a", "Greek/capital alpha", "Georgian/shin"]

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from mamlbench_plugins.datasets.glyph_drawing import SIDE, Distortion, Face, Outline, draw_distorted, draw_plain, fill

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
WILD = Distortion(rotation=0.8, shear=0.8, stretch=0.8, elastic=0.5, weight=0.1, shift=14, size=10)
STILL = WILD.scaled(0)


@pytest.fixture(scope="module")
def face() -> Face:
    return Face(FONTS / "DejaVuSerif.ttf")


def box(left: float, top: float, right: float, bottom: float) -> tuple[np.ndarray, np.ndarray]:
    points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)
    return points, np.array([1, 2, 3, 0])


def test_fill_covers_pixels_by_area() -> None:
    image = fill(*box(2.25, 3, 5.5, 4.5), np.zeros(4, int), 1)[0] / 255
    expected = np.zeros((SIDE, SIDE))
    expected[3, 2:6] = [0.75, 1, 1, 0.5]
    expected[4, 2:6] = [0.375, 0.5, 0.5, 0.25]
    assert np.allclose(image, expected, atol=1 / 255)


def test_overlap_is_ink_once_and_a_reversed_polygon_is_a_hole() -> None:
    outer, order = box(2, 2, 12, 12)
    overlapping, _ = box(6, 6, 16, 16)
    hole = box(4, 4, 10, 10)[0][::-1]
    following, owner = np.concatenate([order, order + 4]), np.zeros(8, int)
    both = fill(np.concatenate([outer, overlapping]), following, owner, 1)[0]
    assert both.max() == 255 and round(both.sum() / 255) == 100 + 100 - 36
    ring = fill(np.concatenate([outer, hole]), following, owner, 1)[0]
    assert round(ring.sum() / 255) == 100 - 36 and ring[7, 7] == 0


def test_outline_is_normalized_and_closed(face: Face) -> None:
    for char in "OiЖé":  # one hole, two parts, many corners, a composite glyph
        outline = face.outline(char)
        assert np.allclose(np.abs(outline.points).max(), 1)
        assert np.allclose(outline.points.max(0) + outline.points.min(0), 0)
        assert sorted(outline.following) == list(range(len(outline.points)))


def test_outwards_points_away_from_the_ink(face: Face) -> None:
    for char in "OЖ":
        outline = face.outline(char)
        bolder = Outline(outline.points + 0.05 * outline.outwards, outline.following)
        assert abs(bolder.area) > abs(outline.area) * 1.1


def test_missing_letter_is_a_key_error(face: Face) -> None:
    with pytest.raises(KeyError):
        face.outline("漢")


def test_plain_drawing_is_centered(face: Face) -> None:
    image = draw_plain([face.outline("H")], 20)[0]
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    assert rows[0] + rows[-1] in {SIDE - 2, SIDE - 1, SIDE}
    assert columns[0] + columns[-1] in {SIDE - 2, SIDE - 1, SIDE}


def test_no_distortion_draws_plainly(face: Face) -> None:
    outline = face.outline("R")
    assert np.array_equal(draw_distorted([outline], np.array([3], np.uint64), STILL), draw_plain([outline], 22))


def test_a_drawing_depends_on_its_key_alone(face: Face) -> None:
    outlines, keys = [face.outline(char) for char in "abc"], np.array([5, 6, 7], np.uint64)
    together = draw_distorted(outlines, keys, WILD)
    alone = draw_distorted(outlines[1:2], keys[1:2], WILD)
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(alone[0], draw_distorted(outlines[1:2], keys[:1], WILD)[0])


def test_the_border_stays_free_however_wild_the_distortion(face: Face) -> None:
    images = draw_distorted([face.outline("W")] * 200, np.arange(200, dtype=np.uint64), WILD)
    assert images.any((1, 2)).all()
    assert not images[:, [0, -1]].any() and not images[:, :, [0, -1]].any()

"""Letters as outlines: read from fonts, distorted as curves, filled as pixels.

Everything here is integer font units and float64 arithmetic, and no rasteriser is called: the images depend on the
font files alone, so two machines with different versions of FreeType, Pillow or matplotlib agree on every pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.ttLib import TTFont
from numpy.typing import NDArray

from mamlbench.api import Keys, ProgressCallback, hash64, no_progress, uniform

SIDE = 28
"""Height and width of an image, in pixels."""

LARGEST = SIDE - 2
"""Longer side that a drawing may have, in pixels."""

PIECES = 6
"""Straight pieces that each curve or line of an outline is cut into, so that lines bend too."""

SCANLINES = 4
"""Scanlines per row of pixels; across, coverage is exact."""

WAVES = 5
"""Waves that add up to the elastic displacement."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Outline:
    """Closed polygons: point i is joined to point ``following[i]``; y grows downwards.

    ``points`` float64 ``[P, 2]`` (x, y), the bounding box centered on 0 with its longer side from -1 to 1.
    """

    points: Floats
    following: Integers

    @cached_property
    def outwards(self) -> Floats:
        """Unit normal at each point, away from the ink: ``[P, 2]``."""
        preceding = np.empty_like(self.following)
        preceding[self.following] = np.arange(len(self.following))
        along = self.points[self.following] - self.points[preceding]
        normal = np.stack([along[:, 1], -along[:, 0]], -1) * np.sign(self.area)
        length: Floats = np.linalg.norm(normal, axis=-1, keepdims=True)
        unit: Floats = normal / np.maximum(length, 1e-9)
        return unit

    @property
    def area(self) -> float:
        """Signed area; its sign says which way round the font draws."""
        here, there = self.points, self.points[self.following]
        return float(np.sum(here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]) / 2)


class Face:
    """One font file."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        font = TTFont(path)
        self.glyph_names: dict[int, str] = font.getBestCmap()
        self._glyphs = font["glyf"]

    def outline(self, letter: str) -> Outline:
        """Return the outline of ``letter``; KeyError where the face lacks it."""
        glyph = self._glyphs[self.glyph_names[ord(letter)]]
        coordinates, ends, on_curve = glyph.getCoordinates(self._glyphs)
        points = np.array(coordinates.array, np.float64).reshape(-1, 2)
        on = (np.asarray(on_curve) & 1).astype(bool)
        starts = [0, *(end + 1 for end in ends)]
        polygons = [_flatten(points[a:b], on[a:b]) for a, b in pairwise(starts) if b - a > 2]
        return _framed(polygons)


def _flatten(points: Floats, on: NDArray[np.bool_]) -> Floats:
    """Turn a closed TrueType contour of on-curve points and quadratic controls into a polygon ``[P, 2]``.

    A point midway between two neighbors of the same kind changes nothing: between controls it is the implied
    on-curve point, between on-curve points it is the control of a straight line. After that the two kinds alternate.
    """
    next_points, next_on = _from_second(points), _from_second(on)
    same = on == next_on
    both = np.stack([points, (points + next_points) / 2], 1).reshape(-1, 2)
    kinds = np.stack([on, ~on], 1).reshape(-1)
    keep = np.stack([np.ones_like(same), same], 1).reshape(-1)
    both, kinds = both[keep], kinds[keep]
    if not kinds[0]:
        both = _from_second(both)
    start, control = both[0::2, None], both[1::2, None]  # [curves, 1, 2]
    end = _from_second(start)
    t = (np.arange(PIECES) / PIECES)[None, :, None]  # [1, PIECES, 1]
    curve: Floats = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return curve.reshape(-1, 2)


def _from_second(rows: NDArray[Any]) -> NDArray[Any]:
    """The same closed round, begun one later (np.roll, which takes far longer for so few)."""
    return np.concatenate([rows[1:], rows[:1]])


def _framed(polygons: Sequence[Floats]) -> Outline:
    points = np.concatenate(polygons) * [1, -1]  # fonts count y upwards
    low, high = points.min(0), points.max(0)
    following = np.arange(1, len(points) + 1)
    ends = np.cumsum([len(each) for each in polygons])
    following[ends - 1] = ends - [len(each) for each in polygons]
    return Outline((points - (low + high) / 2) / ((high - low).max() / 2), following)


@dataclass(frozen=True)
class Distortion:
    """How far a drawing strays from its letter; each is the half-width of a uniform range.

    ``rotation`` in radians; ``shear``, and ``stretch`` (a logarithm) of one axis against the other; ``elastic`` and
    ``weight`` (the outline moved in or out) in halves of the letter's longer side; ``shift`` off the center in pixels,
    and ``size`` of the longer side in pixels about ``mean_size``.
    """

    rotation: float
    shear: float
    stretch: float
    elastic: float
    weight: float
    shift: float
    size: float
    mean_size: float = 22

    def scaled(self, strength: float) -> Distortion:
        """Distort ``strength`` times as much."""
        ranges = {each.name: strength * getattr(self, each.name) for each in fields(self) if each.name != "mean_size"}
        return replace(self, **ranges)


def draw_distorted(
    outlines: Sequence[Outline], keys: Keys, distortion: Distortion, progress: ProgressCallback = no_progress
) -> NDArray[np.uint8]:
    """Draw ``outlines`` ``[D]`` each distorted by its own key ``[D]``: uint8 ``[D, SIDE, SIDE]``, ink 255 on 0.

    A drawing is a pure function of its outline, its key and the distortion, and is never cut off by the border.
    """
    images = []
    for part in _parts(len(outlines), at_once=500):
        images.append(fill(*_placed(outlines[part], keys[part], distortion)))
        progress("glyphs", part.stop, len(outlines))
    return np.concatenate(images)


def draw_plain(outlines: Sequence[Outline], longer_side: float) -> NDArray[np.uint8]:
    """Draw ``outlines`` ``[D]`` undistorted and centered, ``longer_side`` in pixels: uint8 ``[D, SIDE, SIDE]``."""
    images = []
    for part in _parts(len(outlines), at_once=500):
        points, following, owner = _joined(outlines[part])
        images.append(fill(points * (longer_side / 2) + SIDE / 2, following, owner, len(outlines[part])))
    return np.concatenate(images)


def _parts(count: int, at_once: int) -> Iterator[slice]:
    """Cut the work so that intermediate arrays stay under about 100 MB."""
    return (slice(start, min(start + at_once, count)) for start in range(0, count, at_once))


def _joined(outlines: Sequence[Outline]) -> tuple[Floats, Integers, Integers]:
    """All points ``[P, 2]``, which point follows each ``[P]``, and which outline each belongs to ``[P]``."""
    sizes = np.array([len(each.points) for each in outlines])
    starts = np.cumsum(sizes) - sizes
    following = np.concatenate([each.following + start for each, start in zip(outlines, starts, strict=True)])
    return np.concatenate([each.points for each in outlines]), following, np.repeat(np.arange(len(outlines)), sizes)


def _placed(outlines: Sequence[Outline], keys: Keys, how: Distortion) -> tuple[Floats, Integers, Integers, int]:
    """Distort and place on the canvas: the arguments of ``fill``, points in pixels."""
    points, following, owner = _joined(outlines)
    spread = 2 * uniform(keys[:, None], np.arange(7)) - 1  # [D, 7]
    points = points + np.concatenate([each.outwards for each in outlines]) * (how.weight * spread[:, 0])[owner, None]
    points = points + how.elastic * _elastic(points, hash64(keys, 100), owner)
    points = np.einsum("pij,pj->pi", _affine(spread[:, 1:4], how)[owner], points)
    low, high = np.full((len(outlines), 2), np.inf), np.full((len(outlines), 2), -np.inf)
    np.minimum.at(low, owner, points)
    np.maximum.at(high, owner, points)
    longer_side = np.clip(how.mean_size + how.size * spread[:, 4], 1, LARGEST)
    scale = longer_side / (high - low).max(-1)  # [D]
    room = SIDE / 2 - 1 - (high - low) / 2 * scale[:, None]  # [D, 2]; a pixel stays free on every side
    center = SIDE / 2 + np.clip(how.shift * spread[:, 5:7], -room, room)  # [D, 2]
    return (points - ((low + high) / 2)[owner]) * scale[owner, None] + center[owner], following, owner, len(outlines)


def _affine(spread: Floats, how: Distortion) -> Floats:
    """Rotation, shear and stretch as matrices: ``[D, 3]`` in [-1, 1] to ``[D, 2, 2]``."""
    angle, shear, stretch = how.rotation * spread[:, 0], how.shear * spread[:, 1], np.exp(how.stretch * spread[:, 2])
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    lean = np.stack([np.stack([stretch, shear], -1), np.stack([np.zeros_like(shear), 1 / stretch], -1)], 1)
    return np.asarray(turn @ lean)


def _elastic(points: Floats, keys: Keys, owner: Integers) -> Floats:
    """Displacement of unit size at ``points``, smooth in the plane: a sum of slow waves drawn per key, ``[P, 2]``.

    Waves instead of a blurred random image (Simard et al., ICDAR 2003), which would have to be interpolated.
    """
    chance = uniform(keys[:, None], np.arange(WAVES * 5)).reshape(-1, WAVES, 5)  # [D, WAVES, 5]
    direction, phase, heading = (2 * np.pi * chance[..., i] for i in range(3))
    speed = np.pi * (0.5 + chance[..., 3])  # radians per half side: half a period to one and a half across the letter
    moved = np.zeros_like(points)
    for wave in range(WAVES):
        along = points[:, 0] * np.cos(direction[owner, wave]) + points[:, 1] * np.sin(direction[owner, wave])
        height = np.sin(speed[owner, wave] * along + phase[owner, wave])
        moved += height[:, None] * np.stack([np.cos(heading[:, wave]), np.sin(heading[:, wave])], -1)[owner]
    return np.asarray(moved / np.sqrt(WAVES))


def fill(points: Floats, following: Integers, owner: Integers, count: int) -> NDArray[np.uint8]:
    """Fill polygons: points in pixels ``[P, 2]`` to images uint8 ``[count, SIDE, SIDE]``.

    Scan conversion by accumulation: where an edge crosses a scanline, the winding number to its right changes by one.
    Overlapping polygons of one letter count as ink once.
    """
    lines = SIDE * SCANLINES
    x, y = points[:, 0], points[:, 1] * SCANLINES - 0.5  # scanline k lies at y = k
    top, bottom = np.ceil(y), np.ceil(y[following])
    crossings = np.abs(bottom - top).astype(np.int64)  # [P] scanlines between a point and the next
    edge = np.repeat(np.arange(len(points)), crossings)  # [crossings in all]
    nth = np.arange(len(edge)) - np.repeat(np.cumsum(crossings) - crossings, crossings)
    line = np.minimum(top, bottom)[edge] + nth
    slope = (x[following] - x)[edge] / (y[following] - y)[edge]
    column = np.clip(x[edge] + (line - y[edge]) * slope, 0, SIDE)
    cell = np.floor(column).astype(np.int64)
    place = (owner[edge] * lines + np.clip(line, 0, lines - 1).astype(np.int64)) * (SIDE + 2) + cell
    turn = np.sign(bottom - top)[edge]
    right = column - cell  # share of the pixel that lies left of the crossing, hence has not turned yet
    size = count * lines * (SIDE + 2)
    winding = np.bincount(place, turn * (1 - right), size) + np.bincount(place + 1, turn * right, size)
    ink = np.minimum(np.abs(winding.reshape(count, SIDE, SCANLINES, SIDE + 2).cumsum(-1)), 1)[..., :SIDE].mean(2)
    return np.asarray(np.rint(255 * ink), np.uint8)

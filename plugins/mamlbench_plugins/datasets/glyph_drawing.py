"""Drawings of letters: outlines are read from fonts, distorted as polygons, and filled as pixels.

All arithmetic is in integer font units and float64, without an external rasterizer. The images so depend on the font
files alone: machines with different versions of FreeType, Pillow or matplotlib agree on every pixel.
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
"""Largest longer side of a drawing, in pixels."""

PIECES = 6
"""Number of straight segments per curve or line of an outline, so that distortion can bend lines too."""

SCANLINES = 4
"""Number of scanlines per row of pixels; along a scanline, coverage is exact."""

WAVES = 5
"""Number of waves whose sum is the elastic displacement."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Outline:
    """Closed polygons.

    Args:
        points: float64 ``[P, 2]`` (x, y), y downwards; the bounding box is centered on 0, its longer side from -1 to 1.
        following: int64 ``[P]``; point i is connected to point ``following[i]``.
    """

    points: Floats
    following: Integers

    @cached_property
    def outwards(self) -> Floats:
        """Unit normals pointing away from the ink, as float64 ``[P, 2]``."""
        preceding = np.empty_like(self.following)
        preceding[self.following] = np.arange(len(self.following))
        tangent = self.points[self.following] - self.points[preceding]
        normal = np.stack([tangent[:, 1], -tangent[:, 0]], -1) * np.sign(self.area)
        length: Floats = np.linalg.norm(normal, axis=-1, keepdims=True)
        unit: Floats = normal / np.maximum(length, 1e-9)
        return unit

    @property
    def area(self) -> float:
        """Signed area; its sign is the orientation of the polygons."""
        start, end = self.points, self.points[self.following]
        return float(np.sum(start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]) / 2)


class Face:
    """One font file."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        font = TTFont(path)
        self.glyph_names: dict[int, str] = font.getBestCmap()
        self._glyphs = font["glyf"]

    def outline(self, letter: str) -> Outline:
        """Return the outline of ``letter``. Raises KeyError if the face lacks it."""
        glyph = self._glyphs[self.glyph_names[ord(letter)]]
        coordinates, ends, on_curve = glyph.getCoordinates(self._glyphs)
        points = np.array(coordinates.array, np.float64).reshape(-1, 2)
        is_on_curve = (np.asarray(on_curve) & 1).astype(bool)
        starts = [0, *(end + 1 for end in ends)]
        polygons = [_flatten(points[a:b], is_on_curve[a:b]) for a, b in pairwise(starts) if b - a > 2]
        return _normalized(polygons)


def _flatten(points: Floats, is_on_curve: NDArray[np.bool_]) -> Floats:
    """Convert a closed TrueType contour of on-curve points and quadratic controls to a polygon ``[P, 2]``.

    Between neighbors of the same kind their midpoint is inserted, which does not change the contour: between controls
    it is the implied on-curve point, between on-curve points the control of a straight line. Then the kinds alternate.
    """
    same_kind = is_on_curve == _rotate(is_on_curve)
    with_midpoints = np.stack([points, (points + _rotate(points)) / 2], 1).reshape(-1, 2)
    kinds = np.stack([is_on_curve, ~is_on_curve], 1).reshape(-1)
    needed = np.stack([np.ones_like(same_kind), same_kind], 1).reshape(-1)
    alternating, kinds = with_midpoints[needed], kinds[needed]
    if not kinds[0]:
        alternating = _rotate(alternating)
    start, control = alternating[0::2, None], alternating[1::2, None]  # [curves, 1, 2]
    end = _rotate(start)
    t = (np.arange(PIECES) / PIECES)[None, :, None]  # [1, PIECES, 1]
    curve: Floats = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return curve.reshape(-1, 2)


def _rotate(rows: NDArray[Any]) -> NDArray[Any]:
    """Move the first row to the end; np.roll does the same, and is much slower for few rows."""
    return np.concatenate([rows[1:], rows[:1]])


def _normalized(polygons: Sequence[Floats]) -> Outline:
    """Flip y, center the bounding box on 0 and scale its longer side to -1 to 1."""
    points = np.concatenate(polygons) * [1, -1]  # fonts count y upwards
    low, high = points.min(0), points.max(0)
    following = np.arange(1, len(points) + 1)
    sizes = [len(polygon) for polygon in polygons]
    ends = np.cumsum(sizes)
    following[ends - 1] = ends - sizes
    return Outline((points - (low + high) / 2) / ((high - low).max() / 2), following)


@dataclass(frozen=True)
class Distortion:
    """Ranges of the random distortion; every value but ``mean_size`` is the half-width of a uniform range around 0.

    Args:
        rotation: in radians.
        shear: as a factor.
        stretch: logarithm of the ratio of the axes.
        elastic: displacement of points, in halves of the letter's longer side.
        weight: displacement of the outline along its normals, in the same unit.
        shift: of the center, in pixels.
        size: change of the longer side against ``mean_size``, in pixels.
        mean_size: mean longer side, in pixels.
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
        """Return the distortion with all ranges multiplied by ``strength``."""
        ranges = {
            range_.name: strength * getattr(self, range_.name) for range_ in fields(self) if range_.name != "mean_size"
        }
        return replace(self, **ranges)


def draw_distorted(
    outlines: Sequence[Outline], keys: Keys, distortion: Distortion, progress: ProgressCallback = no_progress
) -> NDArray[np.uint8]:
    """Draw ``outlines`` ``[D]`` each distorted by its own key ``[D]``: uint8 ``[D, SIDE, SIDE]``, ink 255 on 0.

    A drawing is a pure function of its outline, its key and the distortion. It does not touch the border.
    """
    images = []
    for part in _parts(len(outlines), size=500):
        images.append(fill(*_distort(outlines[part], keys[part], distortion)))
        progress("glyphs", part.stop, len(outlines))
    return np.concatenate(images)


def draw_plain(outlines: Sequence[Outline], longer_side: float) -> NDArray[np.uint8]:
    """Draw ``outlines`` ``[D]`` undistorted and centered, ``longer_side`` in pixels: uint8 ``[D, SIDE, SIDE]``."""
    images = []
    for part in _parts(len(outlines), size=500):
        points, following, owner = _join(outlines[part])
        images.append(fill(points * (longer_side / 2) + SIDE / 2, following, owner, len(outlines[part])))
    return np.concatenate(images)


def _parts(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most ``size``, so that intermediate arrays stay below about 100 MB."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _join(outlines: Sequence[Outline]) -> tuple[Floats, Integers, Integers]:
    """Concatenate outlines: points ``[P, 2]``, the following point of each ``[P]``, and its outline ``[P]``."""
    sizes = np.array([len(outline.points) for outline in outlines])
    starts = np.cumsum(sizes) - sizes
    following = np.concatenate([outline.following + start for outline, start in zip(outlines, starts, strict=True)])
    return (
        np.concatenate([outline.points for outline in outlines]),
        following,
        np.repeat(np.arange(len(outlines)), sizes),
    )


def _distort(outlines: Sequence[Outline], keys: Keys, distortion: Distortion) -> tuple[Floats, Integers, Integers, int]:
    """Distort outlines and place them on the image; return the arguments of ``fill``, points in pixels."""
    points, following, owner = _join(outlines)
    spread = 2 * uniform(keys[:, None], np.arange(7)) - 1  # [D, 7]
    outwards = np.concatenate([outline.outwards for outline in outlines])  # [P, 2]
    points = points + outwards * (distortion.weight * spread[:, 0])[owner, None]
    points = points + distortion.elastic * _elastic(points, hash64(keys, 100), owner)
    points = np.einsum("pij,pj->pi", _affine(spread[:, 1:4], distortion)[owner], points)
    low, high = np.full((len(outlines), 2), np.inf), np.full((len(outlines), 2), -np.inf)
    np.minimum.at(low, owner, points)
    np.maximum.at(high, owner, points)
    longer_side = np.clip(distortion.mean_size + distortion.size * spread[:, 4], 1, LARGEST)
    scale = longer_side / (high - low).max(-1)  # [D]
    room = SIDE / 2 - 1 - (high - low) / 2 * scale[:, None]  # [D, 2]; one pixel stays free on every side
    center = SIDE / 2 + np.clip(distortion.shift * spread[:, 5:7], -room, room)  # [D, 2]
    return (points - ((low + high) / 2)[owner]) * scale[owner, None] + center[owner], following, owner, len(outlines)


def _affine(spread: Floats, distortion: Distortion) -> Floats:
    """Matrices of rotation, shear and stretch: ``[D, 3]`` in [-1, 1] to ``[D, 2, 2]``."""
    angle, shear = distortion.rotation * spread[:, 0], distortion.shear * spread[:, 1]
    stretch = np.exp(distortion.stretch * spread[:, 2])
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    shear_and_stretch = np.stack([np.stack([stretch, shear], -1), np.stack([np.zeros_like(shear), 1 / stretch], -1)], 1)
    return np.asarray(rotation @ shear_and_stretch)


def _elastic(points: Floats, keys: Keys, owner: Integers) -> Floats:
    """Smooth displacement of unit size at ``points``, ``[P, 2]``: a sum of random waves of low frequency per key.

    Waves replace the blurred random image of Simard et al. (ICDAR 2003), which would need interpolation.
    """
    chance = uniform(keys[:, None], np.arange(WAVES * 5)).reshape(-1, WAVES, 5)  # [D, WAVES, 5]
    direction, phase, displacement_angle = (2 * np.pi * chance[..., i] for i in range(3))
    frequency = np.pi * (0.5 + chance[..., 3])  # radians per half side: 0.5 to 1.5 periods across the letter
    displacement = np.zeros_like(points)
    for wave in range(WAVES):
        position = points[:, 0] * np.cos(direction[owner, wave]) + points[:, 1] * np.sin(direction[owner, wave])
        amplitude = np.sin(frequency[owner, wave] * position + phase[owner, wave])  # [P]
        angle = displacement_angle[:, wave]
        displacement += amplitude[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)[owner]
    return np.asarray(displacement / np.sqrt(WAVES))


def fill(points: Floats, following: Integers, owner: Integers, count: int) -> NDArray[np.uint8]:
    """Fill polygons: points in pixels ``[P, 2]`` to images uint8 ``[count, SIDE, SIDE]``.

    Scan conversion by accumulation: at every crossing of an edge and a scanline, the winding number to the right
    changes by one. Overlapping polygons of one letter do not add up.

    Args:
        points: corners of all polygons, in pixels.
        following: int64 ``[P]``, the point that each point is connected to.
        owner: int64 ``[P]``, the image of each point.
        count: number of images.
    """
    lines = SIDE * SCANLINES
    x, y = points[:, 0], points[:, 1] * SCANLINES - 0.5  # scanline k lies at y = k
    top, bottom = np.ceil(y), np.ceil(y[following])
    crossings = np.abs(bottom - top).astype(np.int64)  # [P] number of scanlines between a point and the next
    edge = np.repeat(np.arange(len(points)), crossings)  # [total number of crossings]
    number = np.arange(len(edge)) - np.repeat(np.cumsum(crossings) - crossings, crossings)
    line = np.minimum(top, bottom)[edge] + number
    slope = (x[following] - x)[edge] / (y[following] - y)[edge]
    column = np.clip(x[edge] + (line - y[edge]) * slope, 0, SIDE)
    cell = np.floor(column).astype(np.int64)
    index = (owner[edge] * lines + np.clip(line, 0, lines - 1).astype(np.int64)) * (SIDE + 2) + cell
    direction = np.sign(bottom - top)[edge]
    left = column - cell  # share of the pixel to the left of the crossing, which is not yet affected
    size = count * lines * (SIDE + 2)
    winding = np.bincount(index, direction * (1 - left), size) + np.bincount(index + 1, direction * left, size)
    ink = np.minimum(np.abs(winding.reshape(count, SIDE, SCANLINES, SIDE + 2).cumsum(-1)), 1)[..., :SIDE].mean(2)
    return np.asarray(np.rint(255 * ink), np.uint8)

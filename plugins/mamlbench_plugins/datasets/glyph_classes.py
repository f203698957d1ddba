"""Which letters are one class: those that a reader could not tell apart once their size is gone.

Accented forms are left out (Unicode decomposes them): at 28 pixels an accent that was distorted is a speck. The rest
are compared as images, because Unicode keeps Latin A, Greek Alpha and Cyrillic A apart, and O and o.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mamlbench.api import ProgressCallback, no_progress, with_progress
from mamlbench_plugins.datasets.glyph_drawing import Face, Outline, draw_plain

LONGER_SIDE = 24
"""Size at which letters are compared, in pixels."""

NEAR = 2
"""Ink of one letter within this many pixels of ink of the other is matched by it."""

LOOK_ALIKE = 0.01
"""Two letters are one class where no more than this share of either's ink is unmatched, in the mean over faces."""

SAME_LETTER = 0.05
"""The same for the two cases of one letter, which differ in weight and serifs besides size: U and u, not A and a."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Alphabet:
    """Classes by name, each with its look-alike letters, and the outline of every letter in every face."""

    classes: Mapping[str, str]
    outlines: tuple[Mapping[str, Outline], ...]


def read_alphabet(fonts: Sequence[Path], progress: ProgressCallback = no_progress) -> Alphabet:
    """Read the letters that all ``fonts`` have, and find the classes; about three seconds for twelve fonts."""
    faces = [Face(path) for path in fonts]
    letters = common_letters(faces)
    outlines = tuple({char: face.outline(char) for char in letters} for face in faces)
    shapes = [list(of_face.values()) for of_face in outlines]
    groups = merge_look_alikes(letters, shapes, progress)
    return Alphabet({class_name(members[0]): members for members in groups}, outlines)


def common_letters(faces: Sequence[Face]) -> str:
    """Return the letters that every face has, without those that decompose (accented, ligatures) and modifiers."""
    common = set.intersection(*(set(face.glyph_names) for face in faces))
    return "".join(char for char in map(chr, sorted(common)) if _is_plain_letter(char))


def _is_plain_letter(char: str) -> bool:
    return unicodedata.category(char) in {"Lu", "Ll", "Lt", "Lo"} and unicodedata.normalize("NFKD", char) == char


def class_name(char: str) -> str:
    """Readable and unique: 'Greek/small alpha', 'Georgian/an'."""
    script, *rest = unicodedata.name(char).split()
    return f"{script.title()}/{' '.join(word.lower() for word in rest if word != 'LETTER')}"


def merge_look_alikes(
    letters: str, outlines: Sequence[Sequence[Outline]], progress: ProgressCallback = no_progress
) -> list[str]:
    """Partition ``letters`` into classes, each sorted; ``outlines[face][letter]`` are their shapes.

    Likeness is passed on: where a resembles b and b resembles c, all three are one class.
    """
    told = with_progress(outlines, "glyphs, faces compared", len(outlines), progress)
    unmatched = np.mean([_unmatched(of_face) for of_face in told], 0)  # [L, L]
    lower = np.array([char.lower() for char in letters])
    alike = unmatched <= np.where(lower[:, None] == lower, SAME_LETTER, LOOK_ALIKE)
    leader = np.arange(len(letters))
    for a, b in np.argwhere(np.triu(alike, 1)):
        leader[leader == leader[b]] = leader[a]
    members = ("".join(letters[i] for i in np.flatnonzero(leader == each)) for each in np.unique(leader))
    return sorted(members)


def _unmatched(outlines: Sequence[Outline]) -> Matrix:
    """The larger share of ink, of either letter, far from the other's: ``[L]`` outlines to ``[L, L]``."""
    ink = draw_plain([_squarer(each) for each in outlines], LONGER_SIDE) >= 128  # [L, H, W]
    far = np.stack([distance_transform_edt(~image) > NEAR for image in ink])
    counts = ink.reshape(len(ink), -1).astype(np.float32) @ far.reshape(len(far), -1).T.astype(np.float32)  # exact
    share = counts / ink.sum((1, 2), dtype=np.float32)[:, None]
    larger: Matrix = np.maximum(share, share.T)
    return larger


def _squarer(outline: Outline) -> Outline:
    """Halve the difference of the sides (in logarithms), for drawings are stretched: U is only narrower than u."""
    half_sides = (outline.points.max(0) - outline.points.min(0)) / 2  # the longer is 1
    return Outline(outline.points / np.sqrt(np.maximum(half_sides, 0.1)), outline.following)

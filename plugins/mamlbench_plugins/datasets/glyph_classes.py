"""Classes of letters: letters that look alike at equal size are one class.

Accented forms, which Unicode decomposes, are left out, because a distorted accent is not legible at 28 pixels. The
others are compared as images, because Unicode distinguishes Latin A, Greek Alpha and Cyrillic A, and O and o.
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
"""Longer side of the images in which letters are compared, in pixels."""

NEAR = 2
"""Distance in pixels within which ink of one letter matches ink of the other."""

LOOK_ALIKE = 0.01
"""Largest unmatched share of the ink of two letters of one class, averaged over faces."""

SAME_LETTER = 0.05
"""The same for upper and lower case of one letter, which differ in weight and serifs too: U and u, not A and a."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Alphabet:
    """Classes by name, each with its look-alike letters, and the outline of every letter in every face."""

    classes: Mapping[str, str]
    outlines: tuple[Mapping[str, Outline], ...]


def read_alphabet(fonts: Sequence[Path], progress: ProgressCallback = no_progress) -> Alphabet:
    """Read the letters that all ``fonts`` have, and group them; takes about three seconds for twelve fonts."""
    faces = [Face(path) for path in fonts]
    letters = common_letters(faces)
    outlines = tuple({char: face.outline(char) for char in letters} for face in faces)
    shapes = [list(face_outlines.values()) for face_outlines in outlines]
    groups = merge_look_alikes(letters, shapes, progress)
    return Alphabet({class_name(group[0]): group for group in groups}, outlines)


def common_letters(faces: Sequence[Face]) -> str:
    """Return the letters that every face has, without modifiers and letters that decompose (accented, ligatures)."""
    common = set.intersection(*(set(face.glyph_names) for face in faces))
    return "".join(char for char in map(chr, sorted(common)) if _is_plain_letter(char))


def _is_plain_letter(char: str) -> bool:
    return unicodedata.category(char) in {"Lu", "Ll", "Lt", "Lo"} and unicodedata.normalize("NFKD", char) == char


def class_name(char: str) -> str:
    """Return a readable, unique name, such as 'Greek/small alpha' or 'Georgian/an'."""
    script, *rest = unicodedata.name(char).split()
    return f"{script.title()}/{' '.join(word.lower() for word in rest if word != 'LETTER')}"


def merge_look_alikes(
    letters: str, outlines: Sequence[Sequence[Outline]], progress: ProgressCallback = no_progress
) -> list[str]:
    """Partition ``letters`` into classes, each sorted; ``outlines[face][letter]`` are their shapes.

    Likeness is transitive: if a looks like b and b like c, all three are one class.
    """
    reported = with_progress(outlines, "glyphs, faces compared", len(outlines), progress)
    unmatched = np.mean([_unmatched(face_outlines) for face_outlines in reported], 0)  # [L, L]
    lower = np.array([char.lower() for char in letters])
    alike = unmatched <= np.where(lower[:, None] == lower, SAME_LETTER, LOOK_ALIKE)
    leader = np.arange(len(letters))
    for a, b in np.argwhere(np.triu(alike, 1)):
        leader[leader == leader[b]] = leader[a]
    groups = ("".join(letters[i] for i in np.flatnonzero(leader == number)) for number in np.unique(leader))
    return sorted(groups)


def _unmatched(outlines: Sequence[Outline]) -> Matrix:
    """Unmatched share of the ink of two letters, the larger of both: ``[L]`` outlines to ``[L, L]``."""
    ink = draw_plain([_squarer(outline) for outline in outlines], LONGER_SIDE) >= 128  # [L, H, W]
    far = np.stack([distance_transform_edt(~image) > NEAR for image in ink])
    counts = ink.reshape(len(ink), -1).astype(np.float32) @ far.reshape(len(far), -1).T.astype(np.float32)  # exact
    share = counts / ink.sum((1, 2), dtype=np.float32)[:, None]
    larger: Matrix = np.maximum(share, share.T)
    return larger


def _squarer(outline: Outline) -> Outline:
    """Halve the log ratio of the sides, because drawings are stretched and U is only narrower than u."""
    half_sides = (outline.points.max(0) - outline.points.min(0)) / 2  # the longer one is 1
    return Outline(outline.points / np.sqrt(np.maximum(half_sides, 0.1)), outline.following)

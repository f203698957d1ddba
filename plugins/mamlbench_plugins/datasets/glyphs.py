"""Glyphs: printed characters of five scripts, drawn from fonts, so that the first command needs no download."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import matplotlib
import numpy as np
import torch
from pydantic import Field

from mamlbench.api import (
    SPLITS,
    CachedImages,
    DataError,
    DataPaths,
    Dataset,
    DatasetInfo,
    ImageFormat,
    ImageSplit,
    LocalCopy,
    ProgressCallback,
    Rotations,
    TaskSplit,
    cached_images,
    hash64,
    load_cached_images,
    no_progress,
    seed_key,
)
from mamlbench.api import Options as BaseOptions
from mamlbench_plugins.datasets.glyph_classes import Alphabet, read_alphabet
from mamlbench_plugins.datasets.glyph_drawing import SIDE, Distortion, Outline, draw_distorted

GENERATOR_VERSION = 1
"""Increase it with every change of the images, so that cached files are made again."""

FACES = tuple(
    f"DejaVu{family}{style}.ttf"
    for family, slanted in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-Bold{slanted}", f"-{slanted}")
)

DISTORTION = Distortion(rotation=0.22, shear=0.2, stretch=0.15, elastic=0.12, weight=0.03, shift=1.75, size=2.5)
"""Distortion at strength 1."""

TRAIN, VAL = 0.65, 0.10
"""Shares of the classes for training and validation; the rest is for testing."""


class Glyphs(Dataset):
    """Letters of the DejaVu fonts in matplotlib; each drawing has its own random distortion."""

    info = DatasetInfo(
        title="Glyphs: Latin, Greek, Cyrillic, Armenian and Georgian letters in twelve faces, distorted",
        license="drawn from the DejaVu fonts (Bitstream Vera license, free)",
        citation="DejaVu fonts 2.37; elastic distortion after Simard, Steinkraus and Platt, ICDAR 2003",
        homepage="https://dejavu-fonts.github.io",
    )

    class Options(BaseOptions):
        """Seed, number and distortion of the drawings."""

        seed: int = Field(0, ge=0, description="seed of the drawings")
        drawings: int = Field(20, ge=2, le=1000, description="number of drawings per character")
        distortion: float = Field(
            1.0, ge=0, le=2, description="strength of the distortion; at 0, drawings differ in the font face only"
        )
        rotations: Rotations = Field("none", description="multiples of 90 degrees: none, per episode, or as classes")

    options: Options
    default_backbone: ClassVar[str] = "conv4-strided"

    @classmethod
    def find_local_copy(cls, options: Glyphs.Options, paths: DataPaths) -> LocalCopy:
        cached = load_cached_images(_cache_path(paths, options, _font_files()), check=False)
        amount = f"{options.drawings} drawings of each character"
        return LocalCopy("drawn from fonts", amount=amount, prepared=cached is not None)

    def load(self) -> Mapping[str, TaskSplit]:
        """Draw the images or read them from the cache, and split them by class name.

        Raises DataError if the fonts of matplotlib are missing, or the cache cannot be written.
        """
        fonts = _font_files()
        self.origin = f"drawn with seed {self.options.seed} from the fonts of matplotlib {matplotlib.__version__}"
        path, progress = _cache_path(self.paths, self.options, fonts), self.paths.progress
        cached = cached_images(path, lambda: draw_glyphs(self.options, read_alphabet(fonts, progress), progress))
        return {name: self._make_split(cached, name) for name in SPLITS}

    def image_format(self) -> ImageFormat:
        return ImageFormat(SIDE, 1, polarity=1)

    def _make_split(self, cached: CachedImages, split: str) -> ImageSplit:
        classes = [c for c, name in enumerate(cached.class_names) if split_of(name) == split]
        return ImageSplit.from_cached_images(cached.select(classes), self.options.rotations)


def split_of(name: str) -> str:
    """Return the split of a class, which depends on its name alone and not on fonts or drawings."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"glyphs").digest()
    position = int.from_bytes(digest, "little") / 2**64
    return "train" if position < TRAIN else "val" if position < TRAIN + VAL else "test"


def draw_glyphs(options: Glyphs.Options, alphabet: Alphabet, progress: ProgressCallback = no_progress) -> CachedImages:
    """Draw every class: uint8 ``[classes * drawings, 1, 28, 28]``, ink 255 on 0.

    A drawing is a pure function of fonts, seed, distortion, class name and number, so more drawings keep the first.
    """
    outlines: list[Outline] = []
    keys = []
    for name, letters in alphabet.classes.items():
        key = hash64(seed_key("glyphs", options.seed, name), np.arange(options.drawings))
        faces = hash64(key, 0) % np.uint64(len(alphabet.outlines))  # [drawings]
        letter_indices = hash64(key, 1) % np.uint64(len(letters))
        outlines += [alphabet.outlines[f][letters[c]] for f, c in zip(faces, letter_indices, strict=True)]
        keys.append(hash64(key, 2))
    images = draw_distorted(outlines, np.concatenate(keys), DISTORTION.scaled(options.distortion), progress)
    return CachedImages(
        torch.from_numpy(images).view(-1, 1, SIDE, SIDE),
        np.arange(len(alphabet.classes) + 1, dtype=np.int64) * options.drawings,
        tuple(alphabet.classes),
        {f"letters of {name}": letters for name, letters in alphabet.classes.items()},
    )


def _font_files() -> list[Path]:
    """Return the twelve files in their order. Raises DataError if one is missing."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    missing = [name for name in FACES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"The DejaVu fonts that glyphs are drawn from are missing in '{folder}' (missing: {', '.join(missing)}): "
            "reinstall matplotlib from PyPI (pip install --force-reinstall matplotlib), or use another data set."
        )
    return [folder / name for name in FACES]


def _cache_path(paths: DataPaths, options: Glyphs.Options, fonts: list[Path]) -> Path:
    return paths.cache / f"glyphs-{_cache_key(options, fonts)}.safetensors"


def _cache_key(options: Glyphs.Options, fonts: list[Path]) -> str:
    """Hash everything that the images depend on."""
    digest = hashlib.sha256(options.model_dump_json(exclude={"rotations"}).encode())
    digest.update(repr((GENERATOR_VERSION, DISTORTION)).encode())
    for path in fonts:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]

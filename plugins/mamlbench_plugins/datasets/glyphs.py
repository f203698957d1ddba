"""Glyphs: printed characters of five scripts, made on the spot, so that the first command needs no network."""

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
from mamlbench.errors import DataError
from mamlbench_plugins.datasets.glyph_classes import Alphabet, read_alphabet
from mamlbench_plugins.datasets.glyph_drawing import SIDE, Distortion, Outline, draw_distorted

GENERATOR_VERSION = 1
"""Raise it with every change to the images: sets kept on disk are then made anew."""

FACES = tuple(
    f"DejaVu{family}{style}.ttf"
    for family, slanted in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-Bold{slanted}", f"-{slanted}")
)

DISTORTION = Distortion(rotation=0.22, shear=0.2, stretch=0.15, elastic=0.12, weight=0.03, shift=1.75, size=2.5)
"""At strength 1."""

TRAIN, VAL = 0.65, 0.10
"""Shares of the classes; the rest is for testing."""


class Glyphs(Dataset):
    """Letters of the DejaVu fonts that matplotlib ships, each drawing distorted in its own way."""

    info = DatasetInfo(
        title="Glyphs: Latin, Greek, Cyrillic, Armenian and Georgian letters in twelve faces, distorted",
        license="made on the spot from the DejaVu fonts (Bitstream Vera license, free)",
        citation="DejaVu fonts 2.37; elastic distortion after Simard, Steinkraus and Platt, ICDAR 2003",
        homepage="https://dejavu-fonts.github.io",
    )

    class Options(BaseOptions):
        """What is drawn."""

        seed: int = Field(0, ge=0, description="seed of the drawings")
        drawings: int = Field(20, ge=2, le=1000, description="drawings of each character")
        distortion: float = Field(1.0, ge=0, le=2, description="strength of the distortion; 0 varies the face alone")
        rotations: Rotations = Field("none", description="multiples of 90 degrees: none, per episode, or as classes")

    options: Options
    default_backbone: ClassVar[str] = "conv4-strided"

    @classmethod
    def find_local_copy(cls, options: Glyphs.Options, paths: DataPaths) -> LocalCopy:
        prepared = load_cached_images(_prepared_at(paths, options, _font_files()))
        amount = f"{options.drawings} drawings of each character"
        return LocalCopy("drawn on the spot", amount=amount, prepared=prepared is not None)

    def load(self) -> Mapping[str, TaskSplit]:
        """Draw the set, or find it drawn; split it by class name.

        Raises DataError where matplotlib's fonts are not where they belong, or the cache cannot be written.
        """
        fonts = _font_files()
        self.origin = f"drawn with seed {self.options.seed} from the fonts of matplotlib {matplotlib.__version__}"
        path = _prepared_at(self.paths, self.options, fonts)
        told = self.paths.progress
        cached = cached_images(path, lambda: draw_glyphs(self.options, read_alphabet(fonts, told), told))
        return {split: self._pool(cached, split) for split in SPLITS}

    def image_format(self) -> ImageFormat:
        return ImageFormat(SIDE, 1, polarity=1)

    def _pool(self, cached: CachedImages, split: str) -> ImageSplit:
        chosen = cached.select([c for c, name in enumerate(cached.class_names) if split_of(name) == split])
        return ImageSplit.from_cached_images(chosen, self.options.rotations)


def split_of(name: str) -> str:
    """The split of a class hangs on its name alone, so that another font or drawing leaves it where it was."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"glyphs").digest()
    place = int.from_bytes(digest, "little") / 2**64
    return "train" if place < TRAIN else "val" if place < TRAIN + VAL else "test"


def draw_glyphs(options: Glyphs.Options, alphabet: Alphabet, progress: ProgressCallback = no_progress) -> CachedImages:
    """Draw every class: uint8 ``[classes * drawings, 1, 28, 28]``, ink 255 on 0.

    A drawing is a pure function of fonts, seed, distortion, class name and number: more drawings keep the first ones.
    """
    chosen: list[Outline] = []
    keys = []
    for name, members in alphabet.classes.items():
        key = hash64(seed_key("glyphs", options.seed, name), np.arange(options.drawings))
        of_face, of_letter = (
            hash64(key, 0) % np.uint64(len(alphabet.outlines)),
            hash64(key, 1) % np.uint64(len(members)),
        )
        chosen += [alphabet.outlines[f][members[c]] for f, c in zip(of_face, of_letter, strict=True)]
        keys.append(hash64(key, 2))
    images = draw_distorted(chosen, np.concatenate(keys), DISTORTION.scaled(options.distortion), progress)
    return CachedImages(
        torch.from_numpy(images).view(-1, 1, SIDE, SIDE),
        np.arange(len(alphabet.classes) + 1, dtype=np.int64) * options.drawings,
        tuple(alphabet.classes),
        {f"letters of {name}": members for name, members in alphabet.classes.items()},
    )


def _font_files() -> list[Path]:
    """Return the twelve files in their order; raise DataError where one is missing."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    missing = [name for name in FACES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"The DejaVu fonts that glyphs are drawn from are not in '{folder}' (missing: {', '.join(missing)}): "
            "reinstall matplotlib from PyPI (pip install --force-reinstall matplotlib), or choose another data set."
        )
    return [folder / name for name in FACES]


def _prepared_at(paths: DataPaths, options: Glyphs.Options, fonts: list[Path]) -> Path:
    return paths.cache / f"glyphs-{_cache_key(options, fonts)}.safetensors"


def _cache_key(options: Glyphs.Options, fonts: list[Path]) -> str:
    """Everything that the images depend on."""
    digest = hashlib.sha256(options.model_dump_json(exclude={"rotations"}).encode())
    digest.update(repr((GENERATOR_VERSION, DISTORTION)).encode())
    for path in fonts:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]

"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
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
    MissingDataError,
    Rotations,
    TaskSplit,
)
from mamlbench.api import Options as BaseOptions
from mamlbench_plugins.datasets.downloads import downloaded, searched_folders
from mamlbench_plugins.datasets.omniglot_download import download
from mamlbench_plugins.datasets.omniglot_files import find_files
from mamlbench_plugins.datasets.omniglot_images import CONTENT_HASH, EVALUATION, SIDE, Resampling, prepare

PREPARATION_VERSION = 1
"""Increase it with every change of the prepared images, so that cached files are made again."""

CHARACTERS, DRAWINGS = 1623, 20
"""Numbers of characters, and of drawings per character, in the complete data set."""

VAL, TEST = 100 / CHARACTERS, 423 / CHARACTERS
"""Shares of the characters for validation and test in the random split; the rest, 1,100, is for training."""

VAL_ALPHABETS = 5 / 30
"""Share of the background alphabets for validation in the split by alphabets."""

Classes = Mapping[str, Sequence[int]]
"""Indices of the classes of each split."""


class Omniglot(Dataset):
    """28 x 28 images of handwritten characters, from the published zip archives or folders."""

    info = DatasetInfo(
        title="Omniglot",
        license="MIT",
        citation="Lake, Salakhutdinov and Tenenbaum, Human-level concept learning through probabilistic program "
        "induction, Science 350(6266):1332-1338, 2015",
        homepage="https://github.com/brendenlake/omniglot",
        obtain="'mamlbench data prepare omniglot', or the first run, downloads it (14 MB); or name the folder that "
        "holds images_background.zip and images_evaluation.zip with --data-dir, MAMLBENCH_DATA or data_dir in "
        "mamlbench.toml",
    )

    class Options(BaseOptions):
        """How characters are split, rotated and drawn."""

        split: Literal["random", "alphabets"] = Field(
            "random",
            description="random: 1,100 characters for training, 100 for validation, 423 for test, from any alphabet; "
            "alphabets: validation and test have alphabets of their own (test: the published evaluation set)",
        )
        rotations: Literal[Rotations, "classes-everywhere"] = Field(
            "episode",
            description="rotations by 90 degrees: none; episode: drawn per class and episode, in all splits (MAML); "
            "classes: rotated characters are separate classes, in training only (Reptile); classes-everywhere: in all "
            "splits (ProtoNet)",
        )
        resampling: Resampling = Field(
            "lanczos",
            description="from 105 to 28 pixels: lanczos, in gray; nearest, in black and white, as in the code of MAML, "
            "Reptile and ProtoNet",
        )
        polarity: Literal[0, 1] = Field(
            1, description="value of ink; the background has the other (0 in Reptile's code)"
        )

    options: Options
    drawings_hash: str
    """SHA-256 over class names, file names and original pixels; equal for archives and folders."""

    @classmethod
    def find_local_copy(cls, options: Omniglot.Options, paths: DataPaths) -> LocalCopy | None:
        files = find_files(paths)
        if files is None:
            return None
        sizes = list(Counter(name.rpartition("/")[0] for half in files.halves for name in half.drawings()).values())
        return LocalCopy(
            files.origin,
            str(files.background.path.parent),
            f"{sum(sizes):,} drawings of {len(sizes):,} characters",
            missing_parts(sizes),
            paths.load_cached("omniglot", files.raw_files(), _preparation(options)) is not None,
        )

    def load(self) -> Mapping[str, TaskSplit]:
        """Find the files or download them, prepare them once, and split the characters.

        Raises DataError, with what to do, if files are missing or damaged, or there are too few characters.
        """
        files = find_files(self.paths) or downloaded(self.paths, download, find_files, _missing)
        self.origin = files.origin
        cached = self.paths.cached(
            "omniglot",
            files.raw_files(),
            _preparation(self.options),
            lambda: prepare(files, self.paths.progress, self.options.resampling),
        )
        self.subset = missing_parts(np.diff(cached.offsets).tolist())
        self.drawings_hash = cached.metadata[CONTENT_HASH]
        if self.options.polarity == 0:
            cached = replace(cached, images=255 - cached.images, hashes=None, mapped_file=None)
        classes = self._split_classes(cached)
        return {name: self._make_split(cached.select(sorted(classes[name])), name) for name in SPLITS}

    def image_format(self) -> ImageFormat:
        return ImageFormat(SIDE, 1, polarity=self.options.polarity)

    def _split_classes(self, cached: CachedImages) -> Classes:
        if self.options.split == "random":
            return split_randomly(cached.class_names)
        return split_by_alphabet(cached.class_names, json.loads(cached.metadata[EVALUATION]))

    def _make_split(self, cached: CachedImages, name: str) -> ImageSplit:
        rotations = self.options.rotations
        if rotations == "classes" and name != "train":
            rotations = "none"
        elif rotations == "classes-everywhere":
            rotations = "classes"
        return ImageSplit.from_cached_images(cached, rotations)


def _preparation(options: Omniglot.Options) -> tuple[int | str, ...]:
    """What prepared images depend on besides the files."""
    resampling = () if options.resampling == "lanczos" else (options.resampling,)
    return (PREPARATION_VERSION, *resampling)


def split_randomly(names: Sequence[str]) -> Classes:
    """Split the classes, in the order of a hash of their names, into 1,100, 100 and 423; fewer in proportion.

    The result does not depend on the order of ``names`` or on a random state. Raises DataError for fewer than three
    classes.
    """
    if len(names) < len(SPLITS):
        raise DataError(f"Omniglot cannot be split: it has {len(names)} characters, and at least three are needed.")
    order = sorted(range(len(names)), key=lambda c: _rank(names[c]))
    test = max(1, round(TEST * len(names)))
    val = max(1, round(VAL * len(names)))
    train = len(names) - val - test
    return {"train": order[:train], "val": order[train : train + val], "test": order[train + val :]}


def split_by_alphabet(names: Sequence[str], evaluation: Sequence[str]) -> Classes:
    """Test on the evaluation alphabets, validate on five of the thirty background alphabets, train on the others.

    The five are selected by a hash of their names. Raises DataError for fewer than two background alphabets.
    """
    alphabets = [name.split("/")[0] for name in names]
    background = sorted(set(alphabets) - set(evaluation), key=_rank)
    if len(background) < 2:
        raise DataError(
            f"Omniglot cannot be split by alphabets: images_background has {len(background)}, and two are needed."
        )
    held_out = max(1, round(VAL_ALPHABETS * len(background)))
    split_of = dict.fromkeys(evaluation, "test") | dict.fromkeys(background, "train")
    split_of |= dict.fromkeys(background[:held_out], "val")
    return {name: [c for c, alphabet in enumerate(alphabets) if split_of[alphabet] == name] for name in SPLITS}


def _rank(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8, person=b"omniglot").digest()


def missing_parts(sizes: Sequence[int]) -> str | None:
    """Describe how the data set differs from the complete 1,623 characters with 20 drawings each; None if it does not.

    Args:
        sizes: number of drawings of each character.
    """
    differences = []
    if len(sizes) != CHARACTERS:
        differences.append(f"{len(sizes):,} of {CHARACTERS:,} characters")
    different = sum(size != DRAWINGS for size in sizes)
    if different:
        differences.append(f"{different:,} characters with other than {DRAWINGS} drawings")
    return ", ".join(differences) or None


def _missing(paths: DataPaths, why: str) -> MissingDataError:
    searched = ", ".join(f"'{path}' ({reason})" for reason, path in searched_folders(paths))
    return MissingDataError(
        f"Omniglot was not found in {searched}, and {why}: name the folder that holds images_background.zip and "
        "images_evaluation.zip with --data-dir, the environment variable MAMLBENCH_DATA or data_dir in "
        "mamlbench.toml, or use --dataset glyphs, which needs no download."
    )

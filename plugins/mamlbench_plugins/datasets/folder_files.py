"""Images in folders ``split/class`` or ``class``, loose or in an archive, and the table of a split."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from mamlbench.api import SPLITS, DataError, ImageTree, split_of_folder, summarize_names
from mamlbench_plugins.datasets.archives import ARCHIVES, ArchiveStore, FolderStore, Store, read_regular_file
from mamlbench_plugins.datasets.image_listing import UNSPLIT, ListedImage, in_order
from mamlbench_plugins.datasets.tables import decode_table, read_table

_COLUMNS = ("class", "split")
_FIRST_WORD = "the first word of their names"

TABLE = "split.csv"
"""Name of the table that is used without an option, if it is beside the class folders."""

HELP = "It needs folders SPLIT/CLASS with images (SPLIT: train, val, test), folders CLASS, or a table of images."


POOLING = (
    "pool the splits and cut them by class with -o dataset.split_by=class, or with -o dataset.split_by=group so that "
    "classes of one top folder, or whose names begin with the same word, stay together"
)
"""What to do with the usual form of a photo collection: the same classes in train, val and test."""


def open_tree(path: Path) -> Store | None:
    """Open a folder, a zip or a tar archive; None if ``path`` is none of them."""
    if path.is_dir():
        return FolderStore(path)
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        return ArchiveStore(path)
    return None


class FolderTree(NamedTuple):
    """The images of a data set in folders.

    Args:
        images: in the order of ``in_order``; with their splits, if folders say them, otherwise all UNSPLIT.
        notes: what is left out, a sentence each.
        doubtful: top folders that may be splits under an unknown name.
        origin: the form of the lists that say classes and splits; empty if folders do.
        groups: the group of each class, as a list has it; empty: groups follow from the names of classes.
        files: names of the lists.
    """

    images: tuple[ListedImage, ...]
    notes: tuple[str, ...]
    doubtful: tuple[str, ...]
    origin: str = ""
    groups: Mapping[str, str] = MappingProxyType({})
    files: tuple[str, ...] = ()


def read_tree(store: Store) -> FolderTree:
    """List all images with their classes and splits, by the rule of ``ImageTree``; unlabeled ones are left out.

    Raises DataError if there is no image, an image is outside a class folder, or splits and classes are mixed.
    """
    where = f"'{store.path}'"
    tree = ImageTree.read(store.names(), where, HELP, store.folders(), ignored=(TABLE,))
    labeled = [image for image in tree.images if image.split != ImageTree.UNLABELED]
    if not labeled:
        raise DataError(f"{where} has unlabeled images only. {HELP}")
    if len({image.split == UNSPLIT for image in labeled}) > 1:
        others = sorted({image.class_name for image in labeled if image.split == UNSPLIT})
        raise DataError(f"{where} has folders of splits and others beside them: {summarize_names(others)}. {HELP}")
    unlabeled = len(tree.images) - len(labeled)
    notes = [f"{unlabeled:,} unlabeled images are left out"] if unlabeled else []
    images = (ListedImage(image.split, image.class_name, image.file, store, image.name) for image in labeled)
    return FolderTree(in_order(images), (*notes, *tree.notes()), tree.doubtful)


def pooled(images: Iterable[ListedImage]) -> tuple[ListedImage, ...]:
    """Unite the images of a class from all splits; files of the same name in several splits stay different images."""
    return in_order(
        image if image.split == UNSPLIT else image._replace(split=UNSPLIT, file=f"{image.split}/{image.file}")
        for image in images
    )


def refuse_unusable_splits(where: str, images: Iterable[ListedImage], min_images: int) -> None:
    """Raise DataError if folders of splits leave one of them without a class, as their names show."""
    classes = _classes_of_splits(images, min_images)
    if UNSPLIT not in classes and (missing := [split for split in SPLITS if not classes.get(split)]):
        raise DataError(
            f"No classes for {' and '.join(missing)} in {where}: every split needs its own, or {POOLING} instead."
        )


def refuse_shared_classes(where: str, images: Iterable[ListedImage], min_images: int) -> None:
    """Raise DataError if splits share classes, as their names show; nothing is decoded."""
    classes = _classes_of_splits(images, min_images)
    shared = []
    for first, second in combinations(SPLITS, 2):
        if names := sorted(classes.get(first, set()) & classes.get(second, set())):
            count = f"{len(names):,} class{'es' if len(names) > 1 else ''}"
            shared.append(f"{first} and {second} share {count} ({summarize_names(names, 5)})")
    if shared:
        raise DataError(
            f"The splits of {where} share classes: {'; '.join(shared)}. A test on them does not show what was learned "
            f"about new classes. To use these images, {POOLING}; or use --allow-leak, which marks every table and "
            "verdict."
        )


def _classes_of_splits(images: Iterable[ListedImage], min_images: int) -> dict[str, set[str]]:
    """The classes of each split with enough images; a name has two encodings on some file systems."""
    counts = Counter((image.split, unicodedata.normalize("NFC", image.class_name)) for image in images)
    classes: dict[str, set[str]] = {}
    for (split, name), count in counts.items():
        classes.setdefault(split, set()).update({name} if count >= min_images else ())
    return classes


LISTS = ("labels.csv", "images.csv", "train.csv", "train.json", "base.json")
"""Names of lists of images, one of which a data set with lists has at its top."""


def looks_split(folder: Path) -> bool:
    """Whether a folder has subfolders train, val and test, in any spelling, or a list of images."""
    if any((folder / name).is_file() for name in LISTS):
        return True
    try:
        splits = {split_of_folder(path.name) for path in folder.iterdir() if path.is_dir()}
    except OSError:
        return False
    return splits >= set(SPLITS)


def find_table(store: Store, file: str) -> tuple[str, str] | None:
    """Return name and text of the table of splits.

    Args:
        store: the images; it is searched for the table first.
        file: name or path of the table; empty: ``TABLE``, if the store has it.

    Raises DataError if ``file`` is not found.
    """
    name_in_store = file or TABLE
    inside = sorted(name for name in store.names() if f"/{name}".endswith(f"/{name_in_store}"))
    if inside:
        ((_, content),) = store.read(inside[:1])
        if isinstance(content, Exception):
            raise DataError(f"'{store.path}/{inside[0]}' cannot be read ({content}).") from content
        return name_in_store, decode_table(content, f"'{store.path}/{inside[0]}'")
    if not file:
        return None
    try:
        return file, decode_table(read_regular_file(Path(file).expanduser()), f"'{file}'")
    except OSError as error:
        raise DataError(
            f"The table of splits '{file}' is neither in '{store.path}' nor a readable file ({error})."
        ) from error


def split_by_table(names: Sequence[str], table: str, text: str) -> dict[str, list[int]]:
    """Split by a table with the columns ``class`` and ``split``, with one row per class.

    Raises DataError with every problem: missing columns, invalid splits, unknown, duplicate or missing classes.
    """
    rows = [dict(zip(_COLUMNS, values, strict=True)) for values in read_table(text, f"'{table}'", _COLUMNS)]
    split_of_class: dict[str, str] = {}
    problems = []
    for row in rows:
        name, split = (row["class"] or "").strip(), split_of_folder((row["split"] or "").strip())
        if split not in SPLITS:
            problems.append(f"class '{name}' is in '{row['split']}', which is not train, val or test")
        elif name not in names:
            problems.append(f"class '{name}' has no folder")
        elif split_of_class.setdefault(name, split) != split:
            problems.append(f"class '{name}' is in {split_of_class[name]} and in {split}")
    problems += [f"class '{name}' is not in it" for name in names if name not in split_of_class]
    if problems:
        raise DataError(f"'{table}': {summarize_names(problems)}.")
    return {split: [c for c, name in enumerate(names) if split_of_class[name] == split] for split in SPLITS}


def group_of_class(name: str) -> str:
    """The group of a class: the first word of its top folder, in small letters.

    So 'Melon-A', 'melon_b2' and 'Melon/C' are of the group 'melon'.
    """
    top = name.partition("/")[0]
    word = re.search(r"[^\W\d_]+", top)
    return unicodedata.normalize("NFC", word.group() if word else top).casefold()


def split_groups_by_seed(
    names: Sequence[str], seed: int, val: float, test: float, group_of: Mapping[str, str] = MappingProxyType({})
) -> tuple[dict[str, list[int]], list[str]]:
    """Split classes so that those of a group are in one split; the shares are of groups. Return the groups too.

    Raises DataError for fewer than three groups.
    """
    own_groups = [group_of.get(name) or group_of_class(name) for name in names]
    groups = sorted(set(own_groups))
    if len(groups) < len(SPLITS):
        raise DataError(
            f"The {len(names):,} classes have {len(groups)} groups by {'a table' if group_of else _FIRST_WORD} "
            f"({summarize_names(groups)}), and three are needed: split by class, with -o dataset.split_by=class."
        )
    split_of_group = {
        groups[number]: split for split, members in split_by_seed(groups, seed, val, test).items() for number in members
    }
    splits = [split_of_group[group] for group in own_groups]
    return {split: [c for c, one in enumerate(splits) if one == split] for split in SPLITS}, groups


def split_by_seed(names: Sequence[str], seed: int, val: float, test: float) -> dict[str, list[int]]:
    """Split classes by shares, in the order of a hash of seed and name; every split gets at least one.

    The result does not depend on the order of ``names`` or on a random state. Raises DataError for fewer than three
    classes.
    """
    if len(names) < len(SPLITS):
        raise DataError(f"{len(names)} classes cannot be split into train, val and test: at least three are needed.")
    order = sorted(range(len(names)), key=lambda c: hashlib.blake2b(f"{seed}\n{names[c]}".encode()).digest())
    held_out = max(1, round(val * len(names))), max(1, round(test * len(names)))
    train = len(names) - sum(held_out)
    if train < 1:
        raise DataError(f"Of {len(names)} classes, none is left for training: lower dataset.val or dataset.test.")
    cuts = {"train": order[:train], "val": order[train : train + held_out[0]], "test": order[train + held_out[0] :]}
    return {split: sorted(classes) for split, classes in cuts.items()}

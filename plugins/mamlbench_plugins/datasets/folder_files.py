"""A tree of images in a folder or an archive: ``split/class/image``, or ``class/image`` and a table of splits."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from mamlbench.api import SPLITS, is_image
from mamlbench.errors import DataError, summarize_names
from mamlbench_plugins.datasets.archives import ARCHIVES, FolderStore, Store, TarStore, ZipStore
from mamlbench_plugins.datasets.image_listing import UNSPLIT, Member, in_order

SPELLINGS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names of folders that are splits, whatever their case."""

TABLE = "split.csv"
"""Table of the split that is taken without being asked for, where it lies in the tree."""

HELP = "Needed is a tree SPLIT/CLASS/IMAGE (SPLIT: train, val, test), or CLASS/IMAGE."


def open_tree(path: Path) -> Store | None:
    """The store at ``path``: a folder, a zip or a tar archive; None where there is none."""
    if path.is_dir():
        return FolderStore(path)
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        return ZipStore(path) if path.suffix.lower() == ".zip" else TarStore(path)
    return None


def read_tree(store: Store) -> tuple[Member, ...]:
    """All images with their classes and, where top folders are called so, their splits (else UNSPLIT).

    A class is everything between the split and the file's name ('birds/finch'). Folders that all images share, such
    as the one that an archive is cached in, play no part.
    Raises DataError where there is no image, where one lies outside a class, or where splits and classes are mixed.
    """
    paths = {name: name.split("/") for name in store.names() if is_image(name) and not _hidden(name)}
    if not paths:
        raise DataError(f"'{store.path}' holds no image. {HELP}")
    paths = _without_shared_folders(paths)
    split = [name for name, parts in paths.items() if len(parts) > 1 and parts[0].lower() in SPELLINGS]
    has_splits = any(len(paths[name]) > 2 for name in split)
    if has_splits and len(split) < len(paths):
        others = sorted({paths[name][0] for name in set(paths) - set(split)})
        raise DataError(
            f"'{store.path}' has folders of splits and others beside them: {summarize_names(others)}. {HELP}"
        )
    depth = 1 if has_splits else 0
    homeless = sorted(name for name, parts in paths.items() if len(parts) < depth + 2)
    if homeless:
        raise DataError(f"'{store.path}' has images outside a class's folder: {summarize_names(homeless)}. {HELP}")
    return in_order(
        Member(
            SPELLINGS[parts[0].lower()] if has_splits else UNSPLIT,
            "/".join(parts[depth:-1]),
            parts[-1],
            store,
            name,
        )
        for name, parts in paths.items()
    )


def looks_split(folder: Path) -> bool:
    """Whether a folder has train, val and test in some spelling, told from their names alone."""
    try:
        found = {SPELLINGS.get(path.name.lower()) for path in folder.iterdir() if path.is_dir()}
    except OSError:
        return False
    return found >= set(SPLITS)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__")) for part in name.split("/"))


def _without_shared_folders(paths: Mapping[str, list[str]]) -> dict[str, list[str]]:
    while True:
        firsts = {parts[0] for parts in paths.values()}
        if len(firsts) > 1 or min(map(len, paths.values())) < 3 or next(iter(firsts)).lower() in SPELLINGS:
            return dict(paths)
        paths = {name: parts[1:] for name, parts in paths.items()}


def find_table(store: Store, given: str) -> tuple[str, str] | None:
    """Name and text of the table of splits: the one asked for, in the tree or anywhere, else the tree's own.

    Raises DataError where one was asked for and is not there.
    """
    wanted = given or TABLE
    inside = sorted(name for name in store.names() if f"/{name}".endswith(f"/{wanted}") and not _hidden(name))
    if inside:
        ((_, content),) = store.read(inside[:1])
        if isinstance(content, Exception):
            raise DataError(f"'{store.path}/{inside[0]}' cannot be read ({content}).") from content
        return wanted, content.decode("utf-8-sig", "replace")
    if not given:
        return None
    try:
        return given, Path(given).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(
            f"The table of splits '{given}' is neither in '{store.path}' nor elsewhere ({error})."
        ) from error


def split_by_table(names: Sequence[str], table: str, text: str) -> dict[str, list[int]]:
    """Split by a table with the columns ``class`` and ``split``, every class in it once.

    Raises DataError with everything wrong with it: columns, splits, classes unknown, given twice or left out.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"class", "split"} <= set(rows[0]):
        raise DataError(
            f"'{table}' needs the columns class and split (of train, val or test) and a row for each class."
        )
    of_class: dict[str, str] = {}
    wrong = []
    for row in rows:
        name, split = (row["class"] or "").strip(), SPELLINGS.get((row["split"] or "").strip().lower())
        if split is None:
            wrong.append(f"class '{name}' is in '{row['split']}', which is not train, val or test")
        elif name not in names:
            wrong.append(f"class '{name}' has no folder")
        elif of_class.setdefault(name, split) != split:
            wrong.append(f"class '{name}' is in {of_class[name]} and in {split}")
    wrong += [f"class '{name}' is not in it" for name in names if name not in of_class]
    if wrong:
        raise DataError(f"'{table}': {summarize_names(wrong)}.")
    return {split: [c for c, name in enumerate(names) if of_class[name] == split] for split in SPLITS}


def split_by_seed(names: Sequence[str], seed: int, val: float, test: float) -> dict[str, list[int]]:
    """Cut the classes, in the order of a hash of seed and name, by shares; every split gets one at least.

    Neither the order of listing nor a random state plays a part. Raises DataError for fewer than three classes.
    """
    if len(names) < len(SPLITS):
        raise DataError(f"{len(names)} classes cannot be split into train, val and test: three are the least.")
    order = sorted(range(len(names)), key=lambda c: hashlib.blake2b(f"{seed}\n{names[c]}".encode()).digest())
    held_out = max(1, round(val * len(names))), max(1, round(test * len(names)))
    train = len(names) - sum(held_out)
    if train < 1:
        raise DataError(f"Of {len(names)} classes none is left to train on: lower dataset.val or dataset.test.")
    cuts = {"train": order[:train], "val": order[train : train + held_out[0]], "test": order[train + held_out[0] :]}
    return {split: sorted(classes) for split, classes in cuts.items()}

"""Images in folders ``split/class`` or ``class``, loose or in an archive, and the table of a split."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from mamlbench.api import SPLITS, DataError, is_image, summarize_names
from mamlbench_plugins.datasets.archives import ARCHIVES, ArchiveStore, FolderStore, Store
from mamlbench_plugins.datasets.image_listing import UNSPLIT, ListedImage, in_order

SPELLINGS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names of folders of splits, in upper or lower case."""

TABLE = "split.csv"
"""Name of the table that is used without an option, if it is beside the class folders."""

HELP = "It needs folders SPLIT/CLASS with images (SPLIT: train, val, test), or folders CLASS."


def open_tree(path: Path) -> Store | None:
    """Open a folder, a zip or a tar archive; None if ``path`` is none of them."""
    if path.is_dir():
        return FolderStore(path)
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        return ArchiveStore(path)
    return None


def read_tree(store: Store) -> tuple[ListedImage, ...]:
    """List all images with their classes and, if the top folders are splits, their splits (otherwise UNSPLIT).

    The class is the path between the split and the file name ('birds/finch'). Folders that all images share, such as
    the top folder of an archive, are ignored.
    Raises DataError if there is no image, an image is outside a class folder, or splits and classes are mixed.
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
    outside = sorted(name for name, parts in paths.items() if len(parts) < depth + 2)
    if outside:
        raise DataError(f"'{store.path}' has images outside a class's folder: {summarize_names(outside)}. {HELP}")
    return in_order(
        ListedImage(
            SPELLINGS[parts[0].lower()] if has_splits else UNSPLIT,
            "/".join(parts[depth:-1]),
            parts[-1],
            store,
            name,
        )
        for name, parts in paths.items()
    )


def looks_split(folder: Path) -> bool:
    """Whether a folder has subfolders train, val and test, in any spelling."""
    try:
        splits = {SPELLINGS.get(path.name.lower()) for path in folder.iterdir() if path.is_dir()}
    except OSError:
        return False
    return splits >= set(SPLITS)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__")) for part in name.split("/"))


def _without_shared_folders(paths: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Drop top folders that all images share, unless they are splits or classes."""
    while True:
        top_folders = {parts[0] for parts in paths.values()}
        if len(top_folders) > 1 or min(map(len, paths.values())) < 3 or next(iter(top_folders)).lower() in SPELLINGS:
            return dict(paths)
        paths = {name: parts[1:] for name, parts in paths.items()}


def find_table(store: Store, file: str) -> tuple[str, str] | None:
    """Return name and text of the table of splits.

    Args:
        store: the images; it is searched for the table first.
        file: name or path of the table; empty: ``TABLE``, if the store has it.

    Raises DataError if ``file`` is not found.
    """
    name_in_store = file or TABLE
    inside = sorted(name for name in store.names() if f"/{name}".endswith(f"/{name_in_store}") and not _hidden(name))
    if inside:
        ((_, content),) = store.read(inside[:1])
        if isinstance(content, Exception):
            raise DataError(f"'{store.path}/{inside[0]}' cannot be read ({content}).") from content
        return name_in_store, content.decode("utf-8-sig", "replace")
    if not file:
        return None
    try:
        return file, Path(file).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(
            f"The table of splits '{file}' is neither in '{store.path}' nor a readable file ({error})."
        ) from error


def split_by_table(names: Sequence[str], table: str, text: str) -> dict[str, list[int]]:
    """Split by a table with the columns ``class`` and ``split``, with one row per class.

    Raises DataError with every problem: missing columns, invalid splits, unknown, duplicate or missing classes.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"class", "split"} <= set(rows[0]):
        raise DataError(
            f"'{table}' needs the columns class and split (of train, val or test) and a row for each class."
        )
    split_of_class: dict[str, str] = {}
    problems = []
    for row in rows:
        name, split = (row["class"] or "").strip(), SPELLINGS.get((row["split"] or "").strip().lower())
        if split is None:
            problems.append(f"class '{name}' is in '{row['split']}', which is not train, val or test")
        elif name not in names:
            problems.append(f"class '{name}' has no folder")
        elif split_of_class.setdefault(name, split) != split:
            problems.append(f"class '{name}' is in {split_of_class[name]} and in {split}")
    problems += [f"class '{name}' is not in it" for name in names if name not in split_of_class]
    if problems:
        raise DataError(f"'{table}': {summarize_names(problems)}.")
    return {split: [c for c, name in enumerate(names) if split_of_class[name] == split] for split in SPLITS}


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

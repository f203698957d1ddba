"""Files of miniImageNet, recognized by their contents: folders, images with tables, archives, or pickles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mamlbench.api import (
    SPLITS,
    DataError,
    DataPaths,
    ImageFormat,
    MissingDataError,
    is_image,
    split_of_folder,
    summarize_names,
)
from mamlbench_plugins.datasets.archives import FileStore, FolderStore, Store, archives_in
from mamlbench_plugins.datasets.image_listing import ImageListing, ListedImage, in_order
from mamlbench_plugins.datasets.miniimagenet_split import CLASSES
from mamlbench_plugins.datasets.tables import read_table

FORMAT = ImageFormat(84)
"""As in MAML's published script: 84 x 84, color, resized by LANCZOS."""

OBTAIN = (
    "It cannot be downloaded (its images are ImageNet's). Name the folder that holds it with --data-dir, "
    "MAMLBENCH_DATA or data_dir in mamlbench.toml: folders train, val and test with a folder for each class; or images "
    "with train.csv, val.csv and test.csv; or archives (tar, zip) of either; or the pickles "
    "mini-imagenet-cache-train.pkl, -val.pkl and -test.pkl"
)
"""How to get the data set, and which forms are recognized."""

CLASS_NAMES = frozenset(name for names in CLASSES.values() for name in names)


@dataclass(frozen=True)
class CandidateFolder:
    """A folder that may hold miniImageNet, with its loose folders, tables of splits, archives and pickles."""

    folder: Path
    loose: tuple[Store, ...]
    tables: tuple[Store, ...]
    archives: tuple[Store, ...]
    pickles: tuple[Path, ...]

    def raw_files(self) -> list[tuple[str, Path]]:
        """Return all files that may hold images or tables, each with its name relative to the folder."""
        loose = [(path.relative_to(self.folder).as_posix(), path) for path in self._loose_files()]
        others = (*(store.path for store in (*self.tables, *self.archives)), *self.pickles)
        return [*loose, *((path.name, path) for path in others)]

    def _loose_files(self) -> list[Path]:
        return [path for store in self.loose for _, path in store.raw_files(store.names())]

    def listing(self) -> ImageListing | None:
        """List the images of loose files or, failing that, of archives; None if neither has all three splits."""
        for kind, stores in (("", self.loose), (" in archives", self.archives)):
            names = [(store, name) for store in stores for name in store.names()]
            images = [(store, name) for store, name in names if is_image(name)]
            tables = [*((store, store.path.name) for store in self.tables), *names]
            for form, listed in (
                ("class folders", _from_class_folders(images)),
                ("images with tables of the split", _from_tables(images, tables)),
            ):
                if _is_miniimagenet(listed):
                    return ImageListing(f"{form}{kind}", in_order(listed), FORMAT, "miniImageNet")
        return None


def candidate_folders(paths: DataPaths) -> Iterator[CandidateFolder]:
    """Yield the folders to search: subfolders called miniImageNet, in any spelling, before the searched folders."""
    for _, folder in paths.folders:
        if folder.is_dir():
            named = sorted(path for path in folder.iterdir() if _has_its_name(path.name) and path.is_dir())
            nested = [path for parent in named for path in sorted(parent.iterdir()) if path.is_dir()]
            for path in (*named, folder, *(path for path in nested if _has_its_name(path.name))):
                candidate = _candidate(path)
                if candidate.loose or candidate.archives or candidate.pickles:
                    yield candidate


def _has_its_name(name: str) -> bool:
    return "".join(char for char in name.lower() if char.isalnum()).startswith("miniimagenet")


def _candidate(folder: Path) -> CandidateFolder:
    try:
        below = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"'{folder}' cannot be searched ({error}): check its permissions.") from error
    loose = tuple(FolderStore(path) for path in below if path.is_dir() and _is_part(path.name))
    tables = tuple(FileStore(path) for path in below if path.is_file() and _split_of_table(path.name))
    pickles = [
        path for split in SPLITS for path in sorted(folder.glob(f"*{split}*")) if path.suffix in (".pkl", ".pickle")
    ]
    return CandidateFolder(folder, loose, tables, tuple(archives_in(folder)), tuple(pickles))


def _is_part(name: str) -> bool:
    return name == "images" or split_of_folder(name) in SPLITS


def _split_of_table(name: str) -> str | None:
    """Return the split that a table of this name lists: of 'validation.csv', and of 'a/val.csv', it is val."""
    stem, _, suffix = name.rpartition("/")[2].rpartition(".")
    return split_of_folder(stem) if suffix.lower() == "csv" else None


def _from_class_folders(images: Sequence[tuple[Store, str]]) -> list[ListedImage]:
    """Images in ``train|val|test/<class>/``, or another usual name; the name of a loose folder is the split."""
    listed = []
    for store, name in images:
        parts = (*((store.path.name,) if isinstance(store, FolderStore) else ()), *name.split("/"))
        split = split_of_folder(parts[-3]) if len(parts) >= 3 else None
        if split in SPLITS:
            listed.append(ListedImage(split, parts[-2], parts[-1], store, name))
    return listed


def _from_tables(images: Sequence[tuple[Store, str]], files: Sequence[tuple[Store, str]]) -> list[ListedImage]:
    """Images anywhere, named in ``train.csv``, ``val.csv`` and ``test.csv`` (columns filename, label, maybe others)."""
    by_file_name = {name.rpartition("/")[2]: (store, name) for store, name in reversed(images)}
    listed = []
    for split in SPLITS:
        tables = [(store, name) for store, name in files if _split_of_table(name) == split]
        for file, label in _rows(*tables[0]) if tables else ():
            if file in by_file_name:  # missing images make the data set a subset, which is reported
                listed.append(ListedImage(split, label, file, *by_file_name[file]))
    return listed


def _rows(store: Store, name: str) -> Iterator[tuple[str, str]]:
    for _, content in store.read([name]):
        if isinstance(content, Exception):
            raise DataError(f"'{store.path}' cannot be read ({content}).") from content
        labels: dict[str, str] = {}
        for path, label in read_table(content, f"'{name}' of '{store.path}'", ("filename", "label")):
            file = path.replace("\\", "/").rpartition("/")[2]
            if labels.setdefault(file, label) != label:
                raise DataError(f"'{name}' of '{store.path}' has '{file}' in class {labels[file]} and in {label}.")
        yield from labels.items()


def _is_miniimagenet(images: Sequence[ListedImage]) -> bool:
    """Whether there are all three splits and a class of miniImageNet."""
    return {image.split for image in images} == set(SPLITS) and any(image.class_name in CLASS_NAMES for image in images)


def not_found(paths: DataPaths) -> MissingDataError:
    """Make the exception that names the searched folders and the recognized forms."""
    searched = (
        summarize_names([f"'{path}' ({reason})" for reason, path in paths.folders])
        or "no folder, because none was named"
    )
    return MissingDataError(f"miniImageNet was not found in {searched}. {OBTAIN}.")

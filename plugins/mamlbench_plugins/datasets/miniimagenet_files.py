"""miniImageNet's files: found by what they hold, in every form in which people have the set."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mamlbench.api import SPLITS, DataPaths, ImageFormat, is_image
from mamlbench.errors import DataError, MissingDataError, summarize_names
from mamlbench_plugins.datasets.archives import FileStore, FolderStore, Store, archives_in
from mamlbench_plugins.datasets.image_listing import Listing, Member, in_order
from mamlbench_plugins.datasets.miniimagenet_split import CLASSES

FORMAT = ImageFormat(84)
"""As MAML's published script makes them: 84 x 84, color, stretched by LANCZOS where they are larger."""

OBTAIN = (
    "It cannot be downloaded (its images are ImageNet's). Name the folder that holds it with --data-dir, "
    "MAMLBENCH_DATA or data_dir in mamlbench.toml: folders train, val and test with a folder for each class; or images "
    "with train.csv, val.csv and test.csv; or archives (tar, zip) of either; or the pickles "
    "mini-imagenet-cache-train.pkl, -val.pkl and -test.pkl"
)
"""Where it comes from, and which forms are recognized."""

KNOWN = frozenset(name for names in CLASSES.values() for name in names)


@dataclass(frozen=True)
class Place:
    """A folder that may hold miniImageNet: loose folders, tables of a split, archives and pickles."""

    folder: Path
    loose: tuple[Store, ...]
    tables: tuple[Store, ...]
    archives: tuple[Store, ...]
    pickles: tuple[Path, ...]

    def fingerprint(self) -> str:
        """What a prepared set hangs on: names, sizes and times of the files."""
        stores = (*self.loose, *self.tables, *self.archives, *map(FileStore, self.pickles))
        return hashlib.sha256("\n\n".join(store.fingerprint() for store in stores).encode()).hexdigest()

    def listing(self) -> Listing | None:
        """Recognize loose files, else archives; None where neither holds all three splits of known classes."""
        for kind, stores in (("", self.loose), (" in archives", self.archives)):
            names = [(store, name) for store in stores for name in store.names()]
            images = [(store, name) for store, name in names if is_image(name)]
            tables = [*((store, store.path.name) for store in self.tables), *names]
            for form, members in (
                ("class folders", _from_class_folders(images)),
                ("images with tables of the split", _from_tables(images, tables)),
            ):
                if _is_miniimagenet(members):
                    return Listing(f"{form}{kind}", in_order(members), FORMAT, "miniImageNet")
        return None


def places_to_try(paths: DataPaths) -> Iterator[Place]:
    """The folders that the user named, and those below them that are called miniImageNet in some spelling."""
    for _, folder in paths.folders:
        if folder.is_dir():
            named = sorted(path for path in folder.iterdir() if _is_called_so(path.name) and path.is_dir())
            below = [path for each in named for path in sorted(each.iterdir()) if path.is_dir()]
            for candidate in (*named, folder, *(path for path in below if _is_called_so(path.name))):
                place = _look_into(candidate)
                if place.loose or place.archives or place.pickles:
                    yield place


def _is_called_so(name: str) -> bool:
    return "".join(char for char in name.lower() if char.isalnum()).startswith("miniimagenet")


def _look_into(folder: Path) -> Place:
    loose = tuple(FolderStore(folder / name) for name in (*SPLITS, "images") if (folder / name).is_dir())
    tables = tuple(FileStore(folder / f"{split}.csv") for split in SPLITS if (folder / f"{split}.csv").is_file())
    pickles = [
        path for split in SPLITS for path in sorted(folder.glob(f"*{split}*")) if path.suffix in (".pkl", ".pickle")
    ]
    return Place(folder, loose, tables, tuple(archives_in(folder)), tuple(pickles))


def _from_class_folders(images: Sequence[tuple[Store, str]]) -> list[Member]:
    """Images below ``train|val|test/<class>/``; a loose folder is itself the split."""
    found = []
    for store, name in images:
        parts = (*((store.path.name,) if isinstance(store, FolderStore) else ()), *name.split("/"))
        if len(parts) >= 3 and parts[-3] in SPLITS:
            found.append(Member(parts[-3], parts[-2], parts[-1], store, name))
    return found


def _from_tables(images: Sequence[tuple[Store, str]], names: Sequence[tuple[Store, str]]) -> list[Member]:
    """Images anywhere, found by file name in ``train.csv``, ``val.csv`` and ``test.csv`` (filename,label)."""
    where = {name.rpartition("/")[2]: (store, name) for store, name in reversed(images)}
    found = []
    for split in SPLITS:
        tables = [(store, name) for store, name in names if name.rpartition("/")[2] == f"{split}.csv"]
        for file, label in _rows(*tables[0]) if tables else ():
            if file in where:  # else the set is a part of the full one, and is called so
                found.append(Member(split, label, file, *where[file]))
    return found


def _rows(store: Store, name: str) -> Iterator[tuple[str, str]]:
    for _, content in store.read([name]):
        if isinstance(content, Exception):
            raise DataError(f"'{store.path}' cannot be read ({content}).") from content
        for row in csv.DictReader(io.StringIO(content.decode("utf-8", "replace"))):
            if not row.get("filename") or not row.get("label"):
                raise DataError(f"'{name}' of '{store.path}' needs the columns filename and label in every row.")
            yield row["filename"], row["label"]


def _is_miniimagenet(members: Sequence[Member]) -> bool:
    """All three splits, and classes of miniImageNet in them."""
    return {m.split for m in members} == set(SPLITS) and any(m.class_name in KNOWN for m in members)


def not_found(paths: DataPaths) -> MissingDataError:
    """Say where it was looked for, and which forms would have been recognized."""
    looked = (
        summarize_names([f"'{path}' ({reason})" for reason, path in paths.folders]) or "no folder, for none was named"
    )
    return MissingDataError(f"miniImageNet was not found in {looked}. {OBTAIN}.")

"""Images that a table or a JSON file lists, found among the files of a data set by the ends of their paths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mamlbench.api import DataError, summarize_names
from mamlbench_plugins.datasets.archives import Store
from mamlbench_plugins.datasets.image_listing import ListedImage, in_order


@dataclass(frozen=True)
class ListedRow:
    """An image as a list names it: its split and class, the group of the class if there is one, and its path there."""

    split: str
    class_name: str
    path: str
    group: str = ""


@dataclass(frozen=True)
class ListedTree:
    """What a data set's lists say.

    Args:
        images: those that were found, in the order of ``in_order``.
        origin: the form of the lists, in words.
        groups: the group of each class; empty if the lists have none.
        files: names of the lists in ``store``, which count as raw files too.
        notes: what is left out, a sentence each.
    """

    images: tuple[ListedImage, ...]
    origin: str
    groups: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class PathIndex:
    """Finds files by the end of a path that was written on another machine.

    Args:
        names: of files or folders, with '/' between the parts.
        stems: whether a path may lack the suffix of its file.
    """

    def __init__(self, names: Iterable[str], *, stems: bool = False) -> None:
        self._by_last: dict[str, list[str]] = defaultdict(list)
        for name in names:
            last = name.rpartition("/")[2]
            self._by_last[last].append(name)
            if stems and "." in last:
                self._by_last[last.rpartition(".")[0]].append(name)

    def find(self, path: str) -> str | None:
        """Return the name that shares most parts with ``path``, counted from the end; None if there is none.

        Raises DataError if several share as many: the path does not say which is meant.
        """
        parts = [part for part in path.replace("\\", "/").split("/") if part not in {"", "."}]
        candidates = self._by_last.get(parts[-1], []) if parts else []
        shared = {name: _shared_parts(parts, name.split("/")) for name in candidates}
        best = [name for name in candidates if shared[name] == max(shared.values())]
        if len(set(best)) > 1:
            raise DataError(f"'{path}' may be any of {summarize_names(sorted(best), 3)}: write its folder too.")
        return best[0] if best else None


def _shared_parts(path: list[str], name: list[str]) -> int:
    """How many folders above the file are equal."""
    pairs = list(zip(reversed(path[:-1]), reversed(name[:-1]), strict=False))
    return next((number for number, (one, other) in enumerate(pairs) if one != other), len(pairs))


def locate(
    rows: Iterable[ListedRow], store: Store, images: Iterable[str], origin: str, files: tuple[str, ...] = ()
) -> ListedTree:
    """Find the images of a list; those that are missing, and those that it does not name, are counted in a note.

    Raises DataError if none is found, a path may be several files, or an image has two classes.
    """
    names = list(images)
    index = PathIndex(names, stems=True)
    listed: dict[tuple[str, str], ListedImage] = {}
    missing: list[str] = []
    groups: dict[str, str] = {}
    class_of: dict[str, str] = {}
    for row in rows:
        name = index.find(row.path)
        if name is None:
            missing.append(row.path)
            continue
        if class_of.setdefault(name, row.class_name) != row.class_name:
            both = f"'{class_of[name]}' and of '{row.class_name}'"
            raise DataError(f"'{store.path}', {origin}: '{row.path}' is of {both}.")
        listed[row.split, name] = ListedImage(row.split, row.class_name, name, store, name)
        groups |= {row.class_name: row.group} if row.group else {}
    if not listed:
        raise DataError(
            f"'{store.path}', {origin}: none of its {len(missing):,} images is there ({summarize_names(missing, 3)})."
        )
    others = sorted(set(names) - set(class_of))
    notes = [*_count(missing, f"images of {origin} are missing"), *_count(others, "images are not in it")]
    return ListedTree(in_order(listed.values()), origin, groups, files, tuple(notes))


def _count(names: list[str], what: str) -> list[str]:
    return [f"{len(names):,} {what} and left out: {summarize_names(names, 5)}"] if names else []

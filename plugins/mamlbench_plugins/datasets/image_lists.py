"""JSON files that list images: ``label_names``, ``image_names`` and ``image_labels``, or folders of classes.

The first form is that of Chen et al., A Closer Look at Few-shot Classification (base.json, val.json, novel.json); the
second one is easyfsl's, with ``class_names`` and ``class_roots``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mamlbench.api import DataError, summarize_names
from mamlbench_plugins.datasets.listed_names import ListedRow, PathIndex


def json_rows(text: str, where: str, split: str, images: Sequence[str]) -> list[ListedRow] | None:
    """Return the images that a JSON file lists; None if it is none of these lists.

    Args:
        text: content of the file.
        where: what it is called in messages.
        split: of all its images.
        images: names of all images of the data set, in which folders are looked for.

    Raises DataError if it is damaged, its parts do not fit together, or a folder is missing.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON ({error}).") from error
    if not isinstance(content, dict):
        return None
    if _is_list(content, "image_names", str) and _is_list(content, "image_labels", int | str):
        return list(_of_images(content, where, split))
    if _is_list(content, "class_names", str) and _is_list(content, "class_roots", str):
        return list(_of_folders(content, where, split, images))
    return None


def _is_list(content: dict[str, Any], key: str, kind: Any) -> bool:
    values = content.get(key)
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _of_images(content: dict[str, Any], where: str, split: str) -> Iterator[ListedRow]:
    names, labels = content["image_names"], content["image_labels"]
    if len(names) != len(labels):
        raise DataError(f"{where} has {len(names):,} image_names and {len(labels):,} image_labels.")
    classes = content.get("label_names") or []
    for name, label in zip(names, labels, strict=True):
        if isinstance(label, str):
            yield ListedRow(split, label, name)
        elif isinstance(classes, list) and 0 <= label < len(classes):
            yield ListedRow(split, str(classes[label]), name)
        else:
            raise DataError(f"{where}: '{name}' has the label {label}, and there are {len(classes):,} label_names.")


def _of_folders(content: dict[str, Any], where: str, split: str, images: Sequence[str]) -> Iterator[ListedRow]:
    names, roots = content["class_names"], content["class_roots"]
    if len(names) != len(roots):
        raise DataError(f"{where} has {len(names):,} class_names and {len(roots):,} class_roots.")
    by_folder: dict[str, list[str]] = {}
    for image in images:
        by_folder.setdefault(image.rpartition("/")[0], []).append(image)
    index = PathIndex(by_folder)
    missing = [root for root in roots if index.find(root) is None]
    if len(missing) == len(roots):
        raise DataError(f"{where}: none of its folders has an image ({summarize_names(missing, 3)}).")
    for name, root in zip(names, roots, strict=True):
        folder = index.find(root)
        yield from (ListedRow(split, name, image) for image in by_folder.get(folder or "-", ()))

"""Splits by class: of a published paper, by name, or of a user's own table."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mamlbench.api import SPLITS, DataError, summarize_names
from mamlbench.errors import did_you_mean
from mamlbench_plugins.datasets.archives import read_regular_file
from mamlbench_plugins.datasets.folder_files import split_by_table
from mamlbench_plugins.datasets.tables import decode_table

FILE = Path(__file__).with_name("published_splits.toml")


@cache
def published_splits() -> Mapping[str, Mapping[str, Any]]:
    """Return the published splits by name: source, number of classes, and the classes of val and test."""
    with FILE.open("rb") as file:
        return tomllib.load(file)


def split_classes(file: str, names: Sequence[str]) -> dict[str, list[int]]:
    """Split classes by a published split or by a table with the columns class and split.

    Args:
        file: name of the published split, or path of the table.
        names: of all classes.

    Raises DataError if there is neither, or it is one of other classes.
    """
    if file in published_splits():
        return split_as_published(file, names)
    try:
        content = read_regular_file(Path(file).expanduser())
    except OSError as error:
        hint = did_you_mean(file, published_splits())
        raise DataError(
            f"'{file}' is neither a table that can be read ({error}) nor a published split.{hint}"
        ) from error
    return split_by_table(names, file, decode_table(content, f"'{file}'"))


def split_as_published(name: str, names: Sequence[str]) -> dict[str, list[int]]:
    """Split classes as a paper does; those that are neither for validation nor for the test are for training.

    Raises DataError if classes of it are missing.
    """
    published = published_splits()[name]
    split_of = {_key(entry): split for split in SPLITS[1:] for entry in published[split]}
    keys = [_key(entry if isinstance(next(iter(split_of)), str) else _number(entry)) for entry in names]
    if missing := sorted(str(key) for key in set(split_of) - set(keys)):
        raise DataError(
            f"The split '{name}' is of {published['classes']} classes, and {len(missing):,} of them are not among "
            f"these {len(names):,}: {summarize_names(missing, 5)}."
        )
    return {split: [c for c, key in enumerate(keys) if split_of.get(key, "train") == split] for split in SPLITS}


def _number(name: str) -> int:
    """The number that a class's name begins with, as in '001.Black_footed_Albatross'; 0: none."""
    match = re.match(r"(\d+)", name.rpartition("/")[2])
    return int(match[1]) if match else 0


def _key(entry: str | int) -> str | int:
    return entry if isinstance(entry, int) else entry.casefold()

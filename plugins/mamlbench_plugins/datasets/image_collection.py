"""The images of a data set of the user's own: of tables, JSON files or pickles if it has some, else of its folders."""

from __future__ import annotations

from collections.abc import Sequence

from mamlbench.api import DataError, ImageTree, is_image
from mamlbench_plugins.datasets.archives import Store
from mamlbench_plugins.datasets.array_pickles import find_array_pickles, read_array_pickles
from mamlbench_plugins.datasets.folder_files import FolderTree, read_tree
from mamlbench_plugins.datasets.image_lists import json_rows
from mamlbench_plugins.datasets.image_tables import TableColumns, find_tables, table_columns, table_rows, table_text
from mamlbench_plugins.datasets.listed_names import ListedRow, ListedTree, locate

NO_TABLE = "none"
"""Value of the option ``table`` with which only folders count."""

INSTEAD = "Name another with -o dataset.table=NAME; with -o dataset.table=none the folders count."


def read_collection(store: Store, table: str, columns: TableColumns) -> FolderTree:
    """List all images with their classes and splits.

    Args:
        store: the files.
        table: name of the table or JSON file; empty: one with a usual name, if any; 'none': folders only.
        columns: the columns of a table, as far as the user names them.

    Raises DataError if a list is damaged, no image of it is there, and as ``read_tree``.
    """
    if table == NO_TABLE:
        return read_tree(store)
    names = [name for name in store.names() if not ImageTree.is_hidden(name)]
    listed = _from_tables(store, names, table, columns) or _from_pickles(store, names)
    if listed is not None:
        return FolderTree(listed.images, listed.notes, (), listed.origin, listed.groups, listed.files)
    if table or any(columns):
        raise DataError(f"'{store.path}' has no table '{table or 'labels.csv'}' of images and classes. {INSTEAD}")
    return read_tree(store)


def _from_tables(store: Store, names: Sequence[str], table: str, columns: TableColumns) -> ListedTree | None:
    tables = find_tables(names, table)
    images = [name for name in names if is_image(name)]
    rows: list[ListedRow] = []
    for split, name in tables:
        own = _rows(store, name, split, images, columns)
        if own is None:  # a table of something else
            return None
        rows += own
    if not rows:
        return None
    files = tuple(name for _, name in tables)
    origin = f"table {files[0]}" if len(files) == 1 else f"tables {', '.join(files)}"
    try:
        return locate(rows, store, images, origin, files)
    except DataError as error:
        raise DataError(f"{error} {INSTEAD}") from error


def _rows(store: Store, name: str, split: str, images: Sequence[str], columns: TableColumns) -> list[ListedRow] | None:
    text, where = table_text(store, name), f"'{store.path}/{name}'"
    if name.lower().endswith(".json"):
        return json_rows(text, where, split, images)
    chosen = table_columns(text, where, columns)
    return None if chosen is None else list(table_rows(text, where, chosen, split))


def _from_pickles(store: Store, names: Sequence[str]) -> ListedTree | None:
    """Pickles count only if there is no image beside them, which would be what they were made from."""
    pickles = () if any(map(is_image, names)) else find_array_pickles(store, names)
    return read_array_pickles(pickles) if pickles else None

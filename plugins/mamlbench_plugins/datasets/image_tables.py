"""Tables of images in place of class folders: one table for all (as Meta-Album's), or one for each split."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mamlbench.api import SPLITS, DataError, split_of_folder, summarize_names
from mamlbench_plugins.datasets.archives import Store
from mamlbench_plugins.datasets.image_listing import UNSPLIT
from mamlbench_plugins.datasets.listed_names import ListedRow
from mamlbench_plugins.datasets.tables import decode_table, read_table

TABLES = ("labels.csv", "images.csv")
"""Names of tables that are used without an option."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "file": ("file_name", "filename", "file", "image", "image_name", "image_path", "path", "img", "id", "image_id"),
    "class": ("category", "label", "class", "class_name", "category_name", "species", "breed"),
    "group": ("super_category", "superclass", "super_class", "supercategory", "group"),
    "split": ("split", "set", "subset"),
}
"""Names of columns, in any capitals; the first one that a table has counts."""


class TableColumns(NamedTuple):
    """Names of the columns of a table; empty: none, or the first one of ``ALIASES``."""

    file: str = ""
    class_name: str = ""
    group: str = ""
    split: str = ""


def find_tables(names: Sequence[str], table: str) -> list[tuple[str, str]]:
    """Return the tables of a data set as (split, name): one without a split, or one for each split that has one.

    Args:
        names: of all files.
        table: name or end of the path of the table that the user means; empty: those with a usual name.
    """
    tables = [name for name in names if name.lower().endswith((".csv", ".json"))]
    if table:
        return [(UNSPLIT, name) for name in tables if f"/{name}".endswith(f"/{table}")]
    for usual in TABLES:
        if single := sorted(
            (name for name in tables if _last(name).lower() == usual), key=lambda name: name.count("/")
        ):
            return [(UNSPLIT, single[0])]
    of_split = {split_of_folder(_last(name).rpartition(".")[0]): name for name in sorted(tables, reverse=True)}
    return [(split, of_split[split]) for split in SPLITS if split in of_split]


def table_columns(text: str, where: str, columns: TableColumns) -> TableColumns | None:
    """Return the columns that a table has; None if it has none for files or classes.

    Raises DataError, with the columns that there are, if it lacks one that the user named.
    """
    header = next(csv.reader(io.StringIO(text.partition("\n")[0])), [])
    by_lower = {name.strip().lower(): name.strip() for name in reversed(header)}
    if absent := [name for name in columns if name and name.lower() not in by_lower]:
        present = summarize_names(name.strip() for name in header)
        raise DataError(f"{where} has no column {summarize_names(absent)}; it has {present}.")
    chosen = TableColumns(
        *(
            by_lower[name.lower()] if name else next((by_lower[alias] for alias in usual if alias in by_lower), "")
            for name, usual in zip(columns, ALIASES.values(), strict=True)
        )
    )
    return chosen if chosen.file and chosen.class_name else None


def table_rows(text: str, where: str, columns: TableColumns, split: str) -> Iterator[ListedRow]:
    """Yield the images of a table; a column of splits counts unless the table itself is of one split.

    Raises DataError for what ``read_table`` refuses, and for a value in the column of splits that is none.
    """
    if columns.group and not _is_full(text, columns.group):  # of Meta-Album's sets, some have no super-categories
        columns = columns._replace(group="")
    used = [name for name in dict.fromkeys(columns) if name]
    for values in read_table(text, where, used):
        row = dict(zip(used, values, strict=True))
        yield ListedRow(
            _split(row[columns.split], where) if columns.split and split == UNSPLIT else split,
            row[columns.class_name],
            row[columns.file],
            row[columns.group] if columns.group else "",
        )


def _is_full(text: str, column: str) -> bool:
    return all((row.get(column) or "").strip() for row in csv.DictReader(io.StringIO(text)))


def _split(value: str, where: str) -> str:
    split = split_of_folder(value)
    if split not in SPLITS:
        raise DataError(f"{where}: '{value}' is not train, val or test.")
    return str(split)


def table_text(store: Store, name: str) -> str:
    """Read a list in a store. Raises DataError if it cannot be read or is not UTF-8."""
    ((_, content),) = store.read([name])
    if isinstance(content, Exception):
        raise DataError(f"'{store.path}/{name}' cannot be read ({content}).") from content
    return decode_table(content, f"'{store.path}/{name}'")


def _last(name: str) -> str:
    return name.rpartition("/")[2]

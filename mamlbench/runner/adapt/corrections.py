"""Corrections of labels: classes that a user wrote into the table of an earlier adaptation."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mamlbench.errors import DataError, did_you_mean, summarize_names
from mamlbench.run_spec.outside_text import read_limited
from mamlbench.runner.adapt.user_images import UserImage, UserImages

COLUMNS = ("file", "correction")
LIMIT = 100_000_000
"""Bytes of the largest table that is read."""


def read_corrections(path: Path) -> dict[str, str]:
    """Return the corrected class of each image that has one, by its file.

    Raises DataError if the table cannot be read, or lacks a column.
    """
    try:
        text = read_limited(path, LIMIT).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"The corrections in '{path}' cannot be read ({error}).") from error
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not set(COLUMNS) <= set(rows.fieldnames or ()):
        raise DataError(
            f"'{path}' needs the columns file and correction, as in the predictions.csv that adapt writes: write the "
            "right class into the column correction."
        )
    try:
        return {row["file"]: row["correction"].strip() for row in rows if (row["correction"] or "").strip()}
    except csv.Error as error:
        raise DataError(f"'{path}' is not a table of comma-separated values: {error}.") from error


def with_corrections(images: UserImages, corrections: dict[str, str], path: Path) -> UserImages:
    """Add corrected images to those that the model adapts to.

    An image that is held out stays so: its class is known, and the test would lose it.

    Raises DataError if a correction names a class that has no folder; a correction of an image that is not there is
    left out, with a note.
    """
    unknown = sorted(set(corrections.values()) - set(images.classes))
    if unknown:
        raise DataError(
            f"'{path}' has a correction to '{unknown[0]}', which is no class of '{images.folder}'."
            f"{did_you_mean(unknown[0], images.classes)}"
        )
    corrected: list[UserImage] = []
    others: list[UserImage] = []
    for image in images.unlabeled:
        name = corrections.get(image.path.relative_to(images.folder).as_posix())
        if name is None:
            others.append(image)
        else:
            corrected.append(UserImage(image.path, images.classes.index(name), corrected=True))
    support = sorted((*images.support, *corrected), key=lambda image: (image.label or 0, image.path))
    notes = (*images.notes, *_unused(images, corrections))
    return replace(images, support=tuple(support), unlabeled=tuple(others), notes=notes)


def _unused(images: UserImages, corrections: dict[str, str]) -> Sequence[str]:
    present = {image.path.relative_to(images.folder).as_posix() for image in images.unlabeled}
    unused = sorted(set(corrections) - present)
    count = f"{len(unused):,} correction{'s are' if len(unused) > 1 else ' is'}"
    return [f"{count} of no image to be labeled, and not used: {summarize_names(unused, 5)}"] if unused else []

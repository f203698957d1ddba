"""Files of published numbers, read when somebody asks for them."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mamlbench.record import PublishedNumber


@dataclass(frozen=True)
class PublishedFile:
    """A TOML file of published numbers, and which plugin brought it."""

    path: Path
    origin: str


def read_published(files: Sequence[PublishedFile]) -> tuple[list[PublishedNumber], list[str]]:
    """Every published number, and a sentence for each file that cannot be read and each name that comes twice."""
    numbers: list[PublishedNumber] = []
    problems: list[str] = []
    for file in files:
        try:
            numbers += read_file(file.path)
        except (OSError, ValueError) as error:  # pydantic's and tomllib's errors are ValueErrors
            problems.append(f"The published numbers in '{file.path}' ({file.origin}) cannot be read: {_told(error)}.")
    twice = [name for name, count in Counter(number.id for number in numbers).items() if count > 1]
    problems += [f"'{name}' is published twice: an id must be of one number." for name in twice]
    return numbers, problems


def read_file(path: Path) -> list[PublishedNumber]:
    """The numbers of one file: tables ``[[group]]``, each with ``results`` and with what these share.

    Raises OSError, and ValueError where the file is not TOML or says what is not known.
    """
    from mamlbench.record import PublishedNumber
    from mamlbench.record.published_number import PublishedNumberGroup

    found = tomllib.loads(path.read_text(encoding="utf-8"))
    groups = [PublishedNumberGroup.model_validate(group) for group in found.pop("group", [])]
    if found or not groups:
        raise ValueError(f"it has {', '.join(found) or 'nothing'} where [[group]] is expected")
    return [PublishedNumber.model_validate(entry) for group in groups for entry in group.entries()]


def _told(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        of = first["input"].get("id", "") if isinstance(first["input"], dict) else ""
        return ": ".join(filter(None, (str(of), ".".join(map(str, first["loc"])), first["msg"])))
    return str(error).rstrip(".")

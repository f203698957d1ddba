"""Files of published numbers, read when a command needs them."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mamlbench.record import PublishedNumber


@dataclass(frozen=True)
class PublishedFile:
    """A TOML file of published numbers, and the plugin that registered it."""

    path: Path
    origin: str


def read_published(files: Sequence[PublishedFile]) -> tuple[list[PublishedNumber], list[str]]:
    """Read all files: the numbers, and one sentence per unreadable file and per id that is used twice."""
    numbers: list[PublishedNumber] = []
    problems: list[str] = []
    for file in files:
        try:
            numbers += read_file(file.path)
        except (OSError, ValueError) as error:  # pydantic's and tomllib's errors are ValueErrors
            problems.append(
                f"The published numbers in '{file.path}' ({file.origin}) cannot be read: {explain_invalid(error)}."
            )
    duplicates = [name for name, count in Counter(number.id for number in numbers).items() if count > 1]
    problems += [f"The id '{name}' of published numbers is used twice: ids must be unique." for name in duplicates]
    return numbers, problems


def read_file(path: Path) -> list[PublishedNumber]:
    """Read the numbers of one file: tables ``[[group]]``, each with ``results`` and the fields that they share.

    Raises OSError if the file cannot be read, ValueError if it is not TOML or has unknown keys.
    """
    from mamlbench.record import PublishedNumber
    from mamlbench.record.published_number import PublishedNumberGroup

    document = read_tables(path)
    groups = [PublishedNumberGroup.model_validate(group) for group in document.get("group", [])]
    return [PublishedNumber.model_validate(entry) for group in groups for entry in group.entries()]


def read_tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the tables of one file, by kind: ``group`` (numbers) and ``reproduction`` (how they are run again).

    Raises OSError if the file cannot be read, ValueError if it is not TOML or has other keys.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = document.keys() - {"group", "reproduction"}
    if unknown or not document:
        raise ValueError(f"it has {', '.join(sorted(unknown)) or 'nothing'} instead of [[group]] or [[reproduction]]")
    return document


def explain_invalid(error: Exception) -> str:
    """Return what is wrong, with the id (of a reproduction, the name) and the field if pydantic raised the error."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        fields = first["input"] if isinstance(first["input"], dict) else {}
        number_id = fields.get("id", fields.get("name", ""))
        return ": ".join(filter(None, (str(number_id), ".".join(map(str, first["loc"])), first["msg"])))
    return str(error).rstrip(".")

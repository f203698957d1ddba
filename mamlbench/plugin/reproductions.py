"""Reproductions of published numbers: read from the files of the numbers, and found by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.plugin.published_numbers import PublishedFile, explain_invalid, read_published, read_tables

if TYPE_CHECKING:
    from mamlbench.record import PublishedNumber
    from mamlbench.record.reproduction import Reproduction


class Reproducible(NamedTuple):
    """A published number and how it is run again."""

    reproduction: Reproduction
    number: PublishedNumber


def read_reproductions(files: Sequence[PublishedFile]) -> tuple[list[Reproducible], list[str]]:
    """Read all files: the reproductions with their numbers, and one sentence for everything that is wrong.

    A reproduction of a number that no file has is left out, as is the second one of a name.
    """
    numbers, problems = read_published(files)
    by_id = {number.id: number for number in numbers}
    reproductions: list[Reproduction] = []
    for file in files:
        try:
            reproductions += read_reproduction_file(file.path)
        except (OSError, ValueError) as error:
            sentence = f"The reproductions in '{file.path}' ({file.origin}) cannot be read: {explain_invalid(error)}."
            problems += [] if any(str(file.path) in problem for problem in problems) else [sentence]
    counts = Counter(reproduction.name for reproduction in reproductions)
    problems += [f"The name '{name}' of reproductions is used twice." for name, count in counts.items() if count > 1]
    problems += [
        f"The reproduction '{entry.name}' is of '{entry.number}', which is no published number."
        f"{did_you_mean(entry.number, by_id)}"
        for entry in reproductions
        if entry.number not in by_id
    ]
    by_name: dict[str, Reproducible] = {}
    for entry in reproductions:
        if entry.number in by_id:
            by_name.setdefault(entry.name, Reproducible(entry, by_id[entry.number]))
    return list(by_name.values()), problems


def read_reproduction_file(path: Path) -> list[Reproduction]:
    """Read the reproductions of one file: tables ``[[reproduction]]``, each with ``reproduces`` and shared fields.

    Raises OSError if the file cannot be read, ValueError if it is not TOML or has unknown keys.
    """
    from mamlbench.record.reproduction import Reproduction, ReproductionGroup

    groups = [ReproductionGroup.model_validate(group) for group in read_tables(path).get("reproduction", [])]
    reproductions = []
    for entry in (entry for group in groups for entry in group.entries()):
        try:
            reproductions.append(Reproduction.model_validate(entry))
        except ValueError as error:
            name, problem = str(entry.get("name", "")), explain_invalid(error)
            raise ValueError(problem if problem.startswith(name) else f"{name}: {problem}") from error
    return reproductions


def find_reproduction(name: str, reproducible: Iterable[Reproducible]) -> tuple[Reproducible, str]:
    """Return the reproduction of a name, or of a number's id, and the reading that ``NAME:READING`` names, or ''.

    Raises ConfigError, with the most similar name, if there is none.
    """
    entries = list(reproducible)
    stem, _, reading = name.partition(":")
    named = [entry for entry in entries if stem == entry.reproduction.name]
    matching = named or [entry for entry in entries if stem == entry.reproduction.number]
    if len(matching) == 1:
        return matching[0], reading
    if matching:
        names = ", ".join(entry.reproduction.name for entry in matching)
        raise ConfigError(f"'{stem}' is a published number with several reproductions: {names}.")
    known = {text for entry in entries for text in (entry.reproduction.name, entry.reproduction.system) if text}
    hint = did_you_mean(stem, known)
    hint = hint if "Did you mean" in hint or not known else " 'mamlbench reproduce' lists what is known."
    raise ConfigError(f"There is no reproduction '{stem}'.{hint}")

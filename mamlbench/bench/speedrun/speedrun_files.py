"""Files of speedruns: targets with their entries (TOML), a user's entries (TOML), and the ledger's results (JSON)."""

from __future__ import annotations

import tomllib
from itertools import count
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mamlbench.atomic_write import write_new_file
from mamlbench.errors import ConfigError
from mamlbench.plugin.published_numbers import explain_invalid
from mamlbench.record.speedrun_target import SpeedrunEntry, SpeedrunResult, SpeedrunTarget

ModelT = TypeVar("ModelT", bound=BaseModel)


class _Entries(BaseModel):
    model_config = ConfigDict(extra="forbid")
    entry: tuple[SpeedrunEntry, ...]


def read_target(path: Path) -> SpeedrunTarget:
    """Read a target and its entries. Raises ConfigError if the file is not one."""
    return _read(path, SpeedrunTarget)


def read_entries(path: Path) -> tuple[SpeedrunEntry, ...]:
    """Read a file of tables ``[[entry]]``. Raises ConfigError if it is none."""
    return _read(path, _Entries).entry


def _read(path: Path, kind: type[ModelT]) -> ModelT:
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # pydantic's and tomllib's errors are ValueErrors
        raise ConfigError(f"'{path}' cannot be read: {explain_invalid(error)}.") from error


def write_result(folder: Path, result: SpeedrunResult) -> Path:
    """Add a result to a ledger, under a name that is free; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    content = (result.model_dump_json(indent=1) + "\n").encode()
    stem = f"{result.target}-{result.entry.name}-{result.date}"
    paths = (folder / f"{stem}-{number}.json" for number in count(1))
    return next(path for path in paths if write_new_file(path, content))


def read_ledger(folder: Path, target: str) -> tuple[list[SpeedrunResult], list[str]]:
    """Read the results of a target, by names of files; and a sentence for each file that cannot be read."""
    results, problems = [], []
    for path in sorted(folder.glob(f"{target}-*.json")):
        try:
            result = SpeedrunResult.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, ValueError) as error:
            problems.append(f"'{path}' cannot be read: {explain_invalid(error)}.")
            continue
        results += [result] if result.target == target else []
    return results, problems

"""Reading a suite file. All mistakes are reported together, each with file, line, key and the closest valid name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.run_spec.outside_text import escaped, is_deep, read_limited, shortened
from mamlbench.suite import toml_lines
from mamlbench.suite.suite_file import CellConditions, Override, SuiteFile, SuiteSettings

MAX_BYTES = 1 << 20
"""Bytes of the largest suite file; those of papers have a few thousand."""

MAX_PROBLEMS = 20
"""Mistakes that are reported at once."""

_TOO_DEEP = "lists and tables are nested more than 32 levels deep"
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_MANY_DOTS = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*\.[ \t]*){{32}}{_PART}")
"""A dotted key that takes tomllib, and the scan for lines, the square of its length."""

SET = "--set"
"""First part of the path of a setting from the command line instead of the file."""


@dataclass(frozen=True)
class Suite:
    """A suite file, and the lines of its keys."""

    file: SuiteFile
    path: Path
    lines: Mapping[toml_lines.Path, int] = field(repr=False)

    @property
    def name(self) -> str:
        """The name that the file sets, otherwise the file's name."""
        return self.file.name or self.path.stem

    @property
    def plugins(self) -> tuple[Path, ...]:
        """Its single-file plugins."""
        return tuple(self.path.parent / Path(name).expanduser() for name in self.file.plugins)

    def with_location(self, path: toml_lines.Path, text: str) -> str:
        """Prefix a sentence with file, line and key."""
        return _with_location(self.path, self.lines, path, text)


def read_suite(path: Path) -> Suite:
    """Read and validate a suite file.

    Raises ConfigError with every mistake that can be found without loading plugins.
    """
    text, values = _read_toml(path)
    lines = toml_lines.key_lines(text)
    try:
        suite = SuiteFile.model_validate(values)
    except ValidationError as error:
        problems = [(_path_in_file(detail, values), _sentence(detail)) for detail in error.errors()[:MAX_PROBLEMS]]
        problems.sort(key=lambda problem: _line(lines, problem[0]))
        raise ConfigError(*dict.fromkeys(_with_location(path, lines, *problem) for problem in problems)) from error
    contradictions = [_with_location(path, lines, *problem) for problem in _contradictions(suite)]
    if contradictions:
        raise ConfigError(*contradictions)
    return Suite(suite, path, lines)


def _read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a file, with line feeds alone, and its values. Raises ConfigError if it is not usable TOML."""
    try:
        text = read_limited(path, MAX_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
        if _MANY_DOTS.search(text):
            raise ValueError("a key of more than 32 parts")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: {_TOO_DEEP}.") from error
    except ValueError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(f"{path}{f':{line[1]}' if line else ''}: not valid TOML: {error}.") from error
    if is_deep(values):
        raise ConfigError(f"{path}: {_TOO_DEEP}.")
    return text, values


def read_changes(texts: Mapping[str, str]) -> SuiteSettings:
    """Parse settings from the command line: each value is TOML, otherwise a string.

    Raises ConfigError with every mistake.
    """
    values: dict[str, Any] = {}
    for name, text in texts.items():
        key, dot, option = name.partition(".")
        if dot and key == "options":
            values.setdefault(key, {})[option] = _value(text)
        else:
            values[name] = _value(text)
    try:
        changes = SuiteSettings.model_validate(values)
    except ValidationError as error:
        problems = [((SET, *_path_in_file(detail, values)), _sentence(detail)) for detail in error.errors()]
        raise ConfigError(*dict.fromkeys(_with_location(Path(), {}, *problem) for problem in problems)) from error
    if changes.seed is not None and changes.seeds is not None:
        raise ConfigError(f"{SET}: {_SEED_AND_SEEDS}.")
    return changes


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


_SEED_AND_SEEDS = "'seed' and 'seeds' cannot be combined: use one of them"


def _contradictions(suite: SuiteFile) -> list[tuple[toml_lines.Path, str]]:
    """Return mistakes that validating single values does not find, as pairs of path and sentence."""
    tables: list[tuple[toml_lines.Path, SuiteSettings]] = [
        ((), suite),
        *((("include", index), table) for index, table in enumerate(suite.include)),
        *((("override", index), table) for index, table in enumerate(suite.override)),
    ]
    problems: list[tuple[toml_lines.Path, str]] = [
        ((*path, "seeds"), _SEED_AND_SEEDS)
        for path, table in tables
        if table.seed is not None and table.seeds is not None
    ]
    problems += [
        (("exclude", index), "without a condition, this excludes every cell")
        for index, table in enumerate(suite.exclude)
        if not table.model_fields_set
    ]
    if suite.algorithm is None:
        missing = "'algorithm' is missing"
        if not suite.include:
            problems.append(((), missing))
        problems += [
            (("include", index), missing) for index, table in enumerate(suite.include) if table.algorithm is None
        ]
    return problems


def _with_location(file: Path, lines: Mapping[toml_lines.Path, int], path: toml_lines.Path, text: str) -> str:
    sentence = text if text.endswith((".", "?")) else f"{text}."
    if path[:1] == (SET,):
        return f"{SET} {'.'.join(map(str, path[1:]))}: {sentence}"
    line = _line(lines, path)
    key = escaped(".".join(part for part in path if isinstance(part, str)))  # in one line
    return f"{file}{f':{line}' if line else ''}: {key + ': ' if key else ''}{sentence}"


def _line(lines: Mapping[toml_lines.Path, int], path: toml_lines.Path) -> int:
    """Return the line of the key, or of the longest part of its path that is in the file; 0 if there is none."""
    while path and path not in lines:
        path = path[:-1]
    return lines[path] if path else 0


def _path_in_file(detail: ErrorDetails, values: Any) -> toml_lines.Path:
    """Return the part of an error's location that is in the file: a value without a list has no position in one."""
    path: toml_lines.Path = ()
    for part in detail["loc"]:
        if isinstance(part, int) and not isinstance(values, list):
            break
        path += (part,)
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            break
    return path


def _sentence(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        name = escaped(str(detail["loc"][-1]))
        return f"there is no such key.{did_you_mean(name, _model_at(detail['loc']).model_fields)}"
    if detail["type"] == "missing":
        return f"'{detail['loc'][-1]}' is missing"
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, not {shortened(detail['input'])}"


def _model_at(path: tuple[str | int, ...]) -> type[BaseModel]:
    """Return the model of the table at a path, whose keys are suggested."""
    if "when" in path[1:-1] or (path[0] == "exclude" and len(path) > 1):
        return CellConditions
    inner: dict[str | int, type[BaseModel]] = {"include": SuiteSettings, "override": Override}
    return inner.get(path[0], SuiteFile) if len(path) > 1 else SuiteFile

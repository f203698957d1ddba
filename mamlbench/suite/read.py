"""Reading a suite file: every mistake at once, each with file, line, key and the nearest thing that was meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.suite import toml_lines
from mamlbench.suite.suite_file import Conditions, Override, Settings, SuiteFile

SET = "--set"
"""First part of the place of a setting that came from the command line instead of the file."""


@dataclass(frozen=True)
class Suite:
    """A suite file that was read, and where its keys stand."""

    file: SuiteFile
    path: Path
    lines: Mapping[toml_lines.Path, int] = field(repr=False)

    @property
    def name(self) -> str:
        """Its own name, else the file's."""
        return self.file.name or self.path.stem

    @property
    def plugins(self) -> tuple[Path, ...]:
        """Its single-file plugins."""
        return tuple(self.path.parent / Path(each).expanduser() for each in self.file.plugins)

    def located(self, path: toml_lines.Path, text: str) -> str:
        """Put file, line and key before a sentence."""
        return _located(self.path, self.lines, path, text)


def read_suite(path: Path) -> Suite:
    """Read and check a suite file. Raises ConfigError with every mistake that can be found without the plugins."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        where = re.search(r"at line (\d+)", str(error))
        raise ConfigError(f"{path}{f':{where[1]}' if where else ''}: not valid TOML: {error}.") from error
    lines = toml_lines.key_lines(text.replace("\r\n", "\n"))
    try:
        suite = SuiteFile.model_validate(values)
    except ValidationError as error:
        found = [(_place(each, values), _sentence(each)) for each in error.errors()]
        found.sort(key=lambda problem: _line(lines, problem[0]))
        raise ConfigError(*dict.fromkeys(_located(path, lines, *problem) for problem in found)) from error
    problems = [_located(path, lines, *problem) for problem in _contradictions(suite)]
    if problems:
        raise ConfigError(*problems)
    return Suite(suite, path, lines)


def read_changes(given: Mapping[str, str]) -> Settings:
    """Settings from the command line, each value as TOML or else as text. Raises ConfigError with every mistake."""
    values: dict[str, Any] = {}
    for name, text in given.items():
        key, dot, option = name.partition(".")
        if dot and key == "options":
            values.setdefault(key, {})[option] = _value(text)
        else:
            values[name] = _value(text)
    try:
        changes = Settings.model_validate(values)
    except ValidationError as error:
        wrong = [_located(Path(), {}, (SET, *_place(each, values)), _sentence(each)) for each in error.errors()]
        raise ConfigError(*dict.fromkeys(wrong)) from error
    if changes.seed is not None and changes.seeds is not None:
        raise ConfigError(f"{SET}: 'seed' and 'seeds' say the same thing: give one of them.")
    return changes


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _contradictions(suite: SuiteFile) -> list[tuple[toml_lines.Path, str]]:
    """What no single value shows."""
    tables: list[tuple[toml_lines.Path, Settings]] = [
        ((), suite),
        *((("include", number), each) for number, each in enumerate(suite.include)),
        *((("override", number), each) for number, each in enumerate(suite.override)),
    ]
    found: list[tuple[toml_lines.Path, str]] = [
        ((*path, "seeds"), "'seed' and 'seeds' say the same thing: give one of them")
        for path, table in tables
        if table.seed is not None and table.seeds is not None
    ]
    found += [
        (("exclude", number), "no condition: this would leave out everything")
        for number, each in enumerate(suite.exclude)
        if not each.model_fields_set
    ]
    if suite.algorithm is None:
        missing = "'algorithm' is missing: which ones are to be run?"
        if not suite.include:
            found.append(((), missing))
        found += [(("include", n), missing) for n, each in enumerate(suite.include) if each.algorithm is None]
    return found


def _located(file: Path, lines: Mapping[toml_lines.Path, int], path: toml_lines.Path, text: str) -> str:
    if path[:1] == (SET,):
        return f"{SET} {'.'.join(map(str, path[1:]))}: {_ended(text)}"
    line = _line(lines, path)
    key = ".".join(part for part in path if isinstance(part, str))
    return f"{file}{f':{line}' if line else ''}: {key + ': ' if key else ''}{_ended(text)}"


def _line(lines: Mapping[toml_lines.Path, int], path: toml_lines.Path) -> int:
    """The line of the key, or of the nearest part of its path that is in the file; 0 where none is."""
    while path and path not in lines:
        path = path[:-1]
    return lines[path] if path else 0


def _ended(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _place(each: Any, values: Any) -> toml_lines.Path:
    """The part of an error's location that is in the file: a value without a list has no position in one."""
    place: toml_lines.Path = ()
    for part in each["loc"]:
        if isinstance(part, int) and not isinstance(values, list):
            break
        place += (part,)
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            break
    return place


def _sentence(each: Any) -> str:
    if each["type"] == "extra_forbidden":
        *_, name = each["loc"]
        return f"there is no such key.{did_you_mean(str(name), _model(each['loc']).model_fields)}"
    if each["type"] == "missing":
        return f"'{each['loc'][-1]}' is missing"
    return f"{each['msg'][0].lower()}{each['msg'][1:]}, not {each['input']!r}"


def _model(place: tuple[str | int, ...]) -> type[BaseModel]:
    """Which table's keys could have been meant there."""
    if "when" in place[1:-1] or (place[0] == "exclude" and len(place) > 1):
        return Conditions
    inner: dict[str | int, type[BaseModel]] = {"include": Settings, "override": Override}
    return inner.get(place[0], SuiteFile) if len(place) > 1 else SuiteFile

"""Preset files: settings that ``mamlbench tune`` found, or that a user writes, for ``--preset FILE.toml``.

A file holds tables ``[[preset]]``, each with the fields of ``Preset``, the ``algorithm`` that it is for, and ``none``,
the options whose value is None, which TOML cannot write.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from mamlbench.errors import ConfigError
from mamlbench.run_spec.outside_text import is_deep, read_limited
from mamlbench.run_spec.preset import Preset
from mamlbench.run_spec.validation import explain

SUFFIX = ".toml"
MAX_PRESET_BYTES = 1 << 20


class FilePreset(Preset):
    """A preset in a file of several methods."""

    algorithm: str = Field(description="registered name of the method")
    none: tuple[str, ...] = Field((), description="options whose value is None")


class PresetName(NamedTuple):
    """What ``--preset`` names: a preset of the method, or one in a file."""

    file: Path | None
    name: str
    """empty: the first of the file"""


def split_preset_name(text: str) -> PresetName:
    """Split ``FILE.toml`` and ``FILE.toml:NAME``; anything else is the name of a method's own preset."""
    if text.endswith(SUFFIX):
        return PresetName(Path(text), "")
    file, colon, name = text.rpartition(":")
    return PresetName(Path(file), name) if colon and file.endswith(SUFFIX) else PresetName(None, text)


def read_preset_file(path: Path, algorithm: str) -> list[Preset]:
    """Return the presets that a file has for a method, in its order.

    Raises ConfigError, with every problem, if it is no preset file, and if it has none for the method.
    """
    try:
        content = tomllib.loads(read_limited(path, MAX_PRESET_BYTES).decode())
    except OSError as error:
        raise ConfigError(f"The preset file '{path}' cannot be read ({error.strerror}).") from error
    except ValueError as error:  # TOML, UTF-8, length
        raise ConfigError(f"The preset file '{path}' cannot be read: {error}.") from error
    except RecursionError:
        raise ConfigError(f"The preset file '{path}' cannot be read: it is nested too deeply.") from None
    if is_deep(content):
        raise ConfigError(f"The preset file '{path}' cannot be read: it is nested too deeply.")
    tables = content.pop("preset", None)
    if content or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"'{path}' is no preset file: it has tables [[preset]] and nothing else.")
    presets = [_read(path, number, table) for number, table in enumerate(tables, 1)]
    own = [preset for preset in presets if preset.algorithm == algorithm]
    if not own:
        names = ", ".join(dict.fromkeys(preset.algorithm for preset in presets)) or "none"
        raise ConfigError(f"'{path}' has no preset for algorithm '{algorithm}', only for: {names}.")
    return [_plain(preset) for preset in own]


def _read(path: Path, number: int, table: dict[str, Any]) -> FilePreset:
    try:
        return FilePreset.model_validate(table)
    except ValidationError as error:
        subject = f"'{path}', preset {number}"
        raise ConfigError(*map(str, explain(error, FilePreset.model_fields, subject))) from error


def _plain(preset: FilePreset) -> Preset:
    values = {name: getattr(preset, name) for name in Preset.model_fields}
    return Preset(**{**values, "options": {**preset.options, **dict.fromkeys(preset.none)}})


def preset_file_text(presets: Iterable[tuple[str, Preset]], comment: str) -> str:
    """Write presets of methods, each with the method's name, as ``read_preset_file`` reads them.

    Args:
        presets: name of the method, and the preset.
        comment: first lines of the file, without ``#``.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for algorithm, preset in presets:
        values = preset.model_dump(mode="json", exclude_defaults=True)
        options = values.pop("options", {})
        none = [name for name, value in options.items() if value is None]
        values = {"algorithm": algorithm, **values, **({"none": none} if none else {})}
        values["options"] = {name: value for name, value in options.items() if value is not None}
        tables = {name: values.pop(name) for name, value in [*values.items()] if isinstance(value, dict)}
        lines += ["", "[[preset]]", *_pairs(values)]
        for name, table in tables.items():
            if table:
                lines += [f"[preset.{name}]", *_pairs(table)]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    # texts, numbers, booleans and lists of them are written alike in JSON and TOML
    return [f"{_key(name)} = {_value(value)}" for name, value in values.items()]


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML wants it escaped, JSON does not

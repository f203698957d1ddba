"""Expanding a suite's settings to its cells: one value for each setting, and where in the file it was set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mamlbench.errors import ConfigError
from mamlbench.suite.read import SET, Suite
from mamlbench.suite.suite_file import CellConditions, SuiteSettings
from mamlbench.suite.toml_lines import Path

MAX_CELLS = 100_000
"""Cells of the largest suite; at a minute each, 70 days."""

OPTION = "options."
SINGLE = (
    *("modes", "metrics", "keep_predictions", "test_sampling", "test_until"),
    *("validate_every", "checkpoint_every", "target_score", "on_divergence", "allow_leak", "deterministic"),
    "label",
)
"""Settings with one value per cell, even if it is a list."""
_COMPONENTS = ("algorithm", "dataset", "backbone", "sampler")


@dataclass(frozen=True)
class SettingValue:
    """The value of a setting, and the path of its key in the file."""

    value: Any
    path: Path


GridCell = Mapping[str, SettingValue]
"""The settings of one cell by name, options as ``options.NAME``."""
_Axes = dict[str, Sequence[SettingValue]]
_ORDER = {name: index for index, name in enumerate(CellConditions.model_fields)}


def expand(suite: Suite, changes: SuiteSettings | None = None) -> list[GridCell]:
    """Return the cells of a suite in the order in which they run.

    Args:
        suite: a suite file.
        changes: settings that replace the file's in every cell. Overrides and exclusions match the changed cells.

    Raises ConfigError if an override or exclusion matches no cell (without changes), or if no cell is left.
    """
    file, problems = suite.file, []
    replaced = _axes(changes or SuiteSettings(), (SET,))
    common = _axes(file, ()) | replaced
    cells: list[GridCell] = [*_product(common)] if file.algorithm else []
    for index, table in enumerate(file.include):
        cells += _product(common | _axes(table, ("include", index)) | replaced)
    for index, override in enumerate(file.override):
        path: Path = ("override", index)
        conditions = _axes(override.when, (*path, "when"))
        if not any(_matches(cell, conditions) for cell in cells):
            problems.append(suite.with_location((*path, "when"), f"matches no cell{_hint(conditions, cells)}"))
        settings = _axes(override, path) | replaced
        cells = [*itertools.chain(*(_overridden(cell, conditions, settings) for cell in cells))]
    for index, exclusion in enumerate(file.exclude):
        conditions = _axes(exclusion, ("exclude", index))
        remaining = [cell for cell in cells if not _matches(cell, conditions)]
        if len(remaining) == len(cells):
            problems.append(suite.with_location(("exclude", index), f"matches no cell{_hint(conditions, cells)}"))
        cells = remaining
    if problems and not replaced:  # with changes from the command line, conditions may match nothing
        raise ConfigError(*problems)
    if not cells:
        raise ConfigError(f"{suite.path}: every cell is excluded.")
    return cells


def _axes(settings: CellConditions, path: Path) -> _Axes:
    """Return the values of each setting that this table sets."""
    axes: _Axes = {}
    names = settings.model_fields_set
    multiplied = [name for name in _ORDER if name in names and name != "options"]
    for name in [*multiplied, *(name for name in SINGLE if name in names)]:
        value = getattr(settings, name)
        axes[name] = _setting_values((value,) if name in SINGLE else value, (*path, name))
    if isinstance(settings, SuiteSettings) and settings.seeds is not None:
        axes["seed"] = [SettingValue(seed, (*path, "seeds")) for seed in range(settings.seeds)]
    for name, value, option_path in _options(settings.options, (*path, "options")):
        axes[OPTION + name] = _setting_values(value if isinstance(value, list) else [value], option_path)
    return axes


def _setting_values(values: Sequence[Any], path: Path) -> list[SettingValue]:
    """Add the path to each value; in a list of several, the path includes the position."""
    if len(values) == 1:
        return [SettingValue(values[0], path)]
    return [SettingValue(value, (*path, index)) for index, value in enumerate(values)]


def _options(options: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any, Path]]:
    """Yield options by their full names: ``backbone.width`` may be a dotted key, a table or a quoted key."""
    for key, value in options.items():
        if key in _COMPONENTS and isinstance(value, dict):
            for name, inner, inner_path in _options(value, (*path, key)):
                yield (name if key == "algorithm" else f"{key}.{name}"), inner, inner_path
        else:
            yield key.removeprefix("algorithm."), value, (*path, key)


def _product(axes: Mapping[str, Sequence[SettingValue]]) -> Iterator[GridCell]:
    """Yield a cell for each combination of values. Raises ConfigError if there are more than ``MAX_CELLS``."""
    count = math.prod(len(values) for values in axes.values())
    if count > MAX_CELLS:
        raise ConfigError(f"A suite of {count:,} cells is more than a computer can hold: up to {MAX_CELLS:,} are run.")
    names = sorted(axes, key=lambda name: _ORDER.get(name.split(".")[0], len(_ORDER)))
    for values in itertools.product(*(axes[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def _matches(cell: GridCell, conditions: _Axes) -> bool:
    return all(
        name in cell and cell[name].value in [entry.value for entry in values] for name, values in conditions.items()
    )


def _overridden(cell: GridCell, conditions: _Axes, settings: _Axes) -> Iterator[GridCell]:
    """Yield the cells with the new settings if the conditions match, otherwise the cell itself."""
    if not _matches(cell, conditions):
        yield cell
        return
    yield from _product({**{name: [value] for name, value in cell.items()}, **settings})


def _hint(conditions: _Axes, cells: Sequence[GridCell]) -> str:
    """Explain why conditions match nothing: they can only use settings that the file sets."""
    unset = [name for name in conditions if not any(name in cell for cell in cells)]
    return f": a condition can only use settings of this file, and {', '.join(unset)} is not set" if unset else ""

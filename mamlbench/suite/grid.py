"""From a suite's settings to its cells: one value for each setting, and the place where it was given."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mamlbench.errors import ConfigError
from mamlbench.suite.read import SET, Suite
from mamlbench.suite.suite_file import Conditions, Settings
from mamlbench.suite.toml_lines import Path

OPTION = "options."
SINGLE = ("modes", "checkpoint_every", "target_score")
"""Settings that do not multiply."""
_PARTS = ("algorithm", "dataset", "backbone", "sampler")


@dataclass(frozen=True)
class Given:
    """A value and where it stands in the file."""

    value: Any
    place: Path


Cell = Mapping[str, Given]
"""Settings by name, options as ``options.NAME``."""
_Axes = dict[str, Sequence[Given]]
_ORDER = {name: number for number, name in enumerate(Conditions.model_fields)}


def expand(suite: Suite, changes: Settings | None = None) -> list[Cell]:
    """Return the cells of a suite in the order in which they run.

    Args:
        suite: what was read.
        changes: settings that every cell has, whatever the file says. Its overrides and exclusions see them.

    Raises ConfigError where an override or exclusion meets no cell (without changes), or where none is left.
    """
    file, problems = suite.file, []
    replaced = _axes(changes or Settings(), (SET,))
    common = _axes(file, ()) | replaced
    cells: list[Cell] = [*_product(common)] if file.algorithm else []
    for number, table in enumerate(file.include):
        cells += _product(common | _axes(table, ("include", number)) | replaced)
    for number, override in enumerate(file.override):
        place: Path = ("override", number)
        wanted = _axes(override.when, (*place, "when"))
        if not any(_meets(cell, wanted) for cell in cells):
            problems.append(suite.located((*place, "when"), f"meets no cell{_hint(wanted, cells)}"))
        cells = [*itertools.chain(*(_changed(each, wanted, _axes(override, place) | replaced) for each in cells))]
    for number, conditions in enumerate(file.exclude):
        wanted = _axes(conditions, ("exclude", number))
        left = [cell for cell in cells if not _meets(cell, wanted)]
        if len(left) == len(cells):
            problems.append(suite.located(("exclude", number), f"meets no cell{_hint(wanted, cells)}"))
        cells = left
    if problems and not replaced:
        raise ConfigError(*problems)
    if not cells:
        raise ConfigError(f"{suite.path}: every cell is excluded.")
    return cells


def _axes(settings: Conditions, place: Path) -> _Axes:
    """The values that each setting given in this table is to have."""
    found: _Axes = {}
    given = settings.model_fields_set
    for name in [*(name for name in _ORDER if name in given and name != "options"), *_single(given)]:
        value = getattr(settings, name)
        values = (value,) if name in SINGLE else value
        found[name] = [Given(each, (*place, name, *_position(values, n))) for n, each in enumerate(values)]
    if isinstance(settings, Settings) and settings.seeds is not None:
        found["seed"] = [Given(number, (*place, "seeds")) for number in range(settings.seeds)]
    for name, value, path in _options(settings.options, (*place, "options")):
        values = value if isinstance(value, list) else [value]
        found[OPTION + name] = [Given(each, (*path, *_position(values, n))) for n, each in enumerate(values)]
    return found


def _single(given: set[str]) -> list[str]:
    return [name for name in SINGLE if name in given]


def _position(values: Sequence[Any], number: int) -> tuple[int, ...]:
    return (number,) if len(values) > 1 else ()


def _options(options: Mapping[str, Any], place: Path) -> Iterator[tuple[str, Any, Path]]:
    """Options by their full names: ``backbone.width`` may stand as a dotted key, a table or a quoted key."""
    for key, value in options.items():
        if key in _PARTS and isinstance(value, dict):
            for name, inner, path in _options(value, (*place, key)):
                yield (name if key == "algorithm" else f"{key}.{name}"), inner, path
        else:
            yield key.removeprefix("algorithm."), value, (*place, key)


def _product(axes: Mapping[str, Sequence[Given]]) -> Iterator[Cell]:
    names = sorted(axes, key=lambda name: _ORDER.get(name.split(".")[0], len(_ORDER)))
    for values in itertools.product(*(axes[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def _meets(cell: Cell, wanted: Mapping[str, Sequence[Given]]) -> bool:
    return all(name in cell and cell[name].value in [g.value for g in values] for name, values in wanted.items())


def _changed(cell: Cell, wanted: _Axes, changes: _Axes) -> Iterator[Cell]:
    """Other settings where the conditions are met; the cell itself elsewhere."""
    if not _meets(cell, wanted):
        yield cell
        return
    yield from _product({**{name: [given] for name, given in cell.items()}, **changes})


def _hint(wanted: Mapping[str, Sequence[Given]], cells: Sequence[Cell]) -> str:
    """Why conditions meet nothing: a setting that the file leaves to its default can be no condition."""
    unset = [name for name in wanted if not any(name in cell for cell in cells)]
    if unset:
        return f": {', '.join(unset)} must be given in this file before it can be a condition"
    return ""

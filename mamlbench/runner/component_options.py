"""Options of a run's components, in either direction: from a user's values to a spec, and from a spec to a plugin.

A spec is plain data, so options are validated when it is made (``complete_component``), and once more when the plugin
is built from it (``stored_options``), maybe in another process. Nothing else in the runner validates them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from mamlbench.api import Options
from mamlbench.errors import ConfigError, ConfigProblem, MamlbenchError, did_you_mean, one_line
from mamlbench.interrupts import is_interrupt
from mamlbench.plugin.failure import code_of_name, explain_failure
from mamlbench.plugin.time_limit import watched
from mamlbench.run_spec import Component, explain
from mamlbench.run_spec.bounds import MOST_SEED
from mamlbench.run_spec.outside_text import loads_strictly

PREFIXES = ("dataset", "backbone", "sampler")
"""Components whose options a user writes with a prefix: ``backbone.width``. Without one, the algorithm is meant."""


def split_options(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Sort a user's options by component. Raises ConfigError for a prefix that is none."""
    by_component: dict[str, dict[str, Any]] = {kind: {} for kind in ("algorithm", *PREFIXES)}
    for name, value in options.items():
        prefix, dot, rest = name.partition(".")
        if dot and prefix in by_component:
            by_component[prefix][rest] = value
        elif dot:
            near = did_you_mean(prefix, PREFIXES)
            raise ConfigError(ConfigProblem(f"option '{name}': a run has no part '{prefix}'.{near}", f"options.{name}"))
        else:
            by_component["algorithm"][name] = value
    return by_component


def complete_component(
    kind: str, plugin: Any, name: str, values: Mapping[str, Any], changes: Mapping[str, Any]
) -> Component:
    """Return a component of a spec: every option with its value, as JSON has it.

    Args:
        kind: 'algorithm', 'dataset', 'backbone' or 'sampler'.
        plugin: the registered class.
        name: its registered name.
        values: options of a preset or of another spec, in their own types.
        changes: options that a user gives, in their own types or as text.

    Raises ConfigError with every problem, suggesting the nearest option name.
    """
    options = _validate(kind, plugin, name, {**values, **_parse(plugin, changes)})
    return Component(name=name, options=options.model_dump(mode="json"))


def read_options(kind: str, plugin: Any, name: str, values: Mapping[str, Any]) -> Options:
    """Build a plugin's options from what a user gives. Raises ConfigError as ``complete_component`` does."""
    return _validate(kind, plugin, name, _parse(plugin, values))


def stored_options(kind: str, plugin: Any, component: Component) -> Options:
    """Build a plugin's options from a spec. Raises ConfigError if they are those of another release of the plugin."""
    return _validate(kind, plugin, component.name, component.options)


def _validate(kind: str, plugin: Any, name: str, values: Mapping[str, Any]) -> Options:
    schema: type[Options] = plugin.Options
    prefix = "" if kind == "algorithm" else f"{kind}."
    huge = [key for key, value in values.items() if isinstance(value, int) and abs(value) > MOST_SEED]
    if huge:  # a tensor's sizes, and the integers of a record, lie within 64 bits
        text = "{} '{}': option '{}': an integer must lie within 64 bits."
        raise ConfigError(*(ConfigProblem(text.format(kind, name, key), f"options.{prefix}{key}") for key in huge))
    unwritable = [key for key, value in values.items() if not _is_unicode(value)]
    if unwritable:  # arguments of bytes that no encoding explains: no record could have them
        text = "{} '{}': option '{}': its text is not UTF-8."
        raise ConfigError(
            *(ConfigProblem(text.format(kind, name, key), f"options.{prefix}{key}") for key in unwritable)
        )
    try:
        with watched(f"reading options of {kind} '{one_line(name)}'"):
            return schema.model_validate(dict(values))
    except ValidationError as error:
        problems = explain(error, schema.model_fields, f"{kind} '{name}'", what="option", prefix=prefix)
        raise ConfigError(*(ConfigProblem(str(problem), f"options.{problem.key}") for problem in problems)) from error
    except BaseException as error:  # a plugin's validator may raise anything, or exit
        if is_interrupt(error) or isinstance(error, MamlbenchError):
            raise
        failure = explain_failure(error, code_of_name(plugin.__module__))
        raise ConfigError(f"{kind} '{one_line(name)}': its options cannot be read: {failure}") from error


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    except (TypeError, ValueError):  # a plugin's own objects: its validator looks at them
        return True
    return True


def _parse(plugin: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    fields = plugin.Options.model_fields
    return {name: _parse_value(value, fields.get(name)) for name, value in values.items()}


def _parse_value(value: Any, field: FieldInfo | None) -> Any:
    """Read a value from the command line: JSON if it is JSON, else the text; 'none' is None if the option has it."""
    if not isinstance(value, str):
        return value
    if value.lower() == "none" and field is not None and NoneType in get_args(field.annotation):
        return None
    try:
        return loads_strictly(value)
    except ValueError:
        return value

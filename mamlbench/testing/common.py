"""The contract of all plugins, whatever their kind."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import ValidationError

from mamlbench.testing.checks import Check, NotApplicable, ensure


def has_docstring(subject: Any) -> None:
    """The class has a docstring of its own."""
    docstring = subject.plugin.__dict__.get("__doc__")
    ensure(bool(docstring and inspect.cleandoc(docstring)), f"{subject.plugin.__name__} has no docstring of its own")


def options_are_described(subject: Any) -> None:
    """Every option has a description."""
    fields = subject.plugin.Options.model_fields
    undescribed = [name for name, field in fields.items() if not field.description]
    ensure(not undescribed, f"no description: {', '.join(undescribed)}")


def defaults_are_valid(subject: Any) -> None:
    """Every option has a default, and the defaults are valid."""
    schema = subject.plugin.Options
    required = [name for name, field in schema.model_fields.items() if field.is_required()]
    ensure(not required, f"no default: {', '.join(required)}")
    try:
        schema.model_validate(schema().model_dump(mode="json"))
    except ValidationError as error:
        first = error.errors()[0]
        ensure(False, f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r}")


def unknown_options_are_errors(subject: Any) -> None:
    """An unknown or misspelled option raises an error."""
    schema = subject.plugin.Options
    ensure(schema.model_config.get("extra") == "forbid", "unknown options are accepted")


def presets_are_valid(subject: Any) -> None:
    """Every preset has a source, and its options exist and are valid."""
    if not subject.plugin.presets:
        raise NotApplicable("has no presets")
    for preset in subject.plugin.presets:
        title = f"preset '{preset.name}'" + (f" for {preset.dataset}" if preset.dataset else "")
        ensure(bool(preset.source), f"{title} has no source")
        other_ways = preset.train_ways is not None and not getattr(subject.plugin, "any_ways", True)
        ensure(not other_ways, f"{title} trains with different ways, which requires any_ways = True")
        try:
            subject.plugin.Options.model_validate(preset.options)
        except ValidationError as error:
            first = error.errors()[0]
            ensure(False, f"{title}: {'.'.join(map(str, first['loc']))}: {first['msg']}")


DOCSTRING = Check(
    has_docstring, 'Describe the class in a """docstring""" below the class line; `mamlbench info` shows it.'
)
COMMON = (
    DOCSTRING,
    Check(options_are_described, 'Give each field Field(..., description="...").'),
    Check(defaults_are_valid, "Give each option a default that is valid for its type and limits."),
    Check(unknown_options_are_errors, "Derive Options from mamlbench.api.Options and keep extra='forbid'."),
)
PRESETS = Check(presets_are_valid, "Set the source of the preset's values, and use the option names of Options.")

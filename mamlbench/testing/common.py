"""What every plugin promises, of whatever kind."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import ValidationError

from mamlbench.testing.run_checks import Check, NotApplicable, demand


def documented(subject: Any) -> None:
    """The class says in a docstring what it is."""
    own = subject.plugin.__dict__.get("__doc__")
    demand(bool(own and inspect.cleandoc(own)), f"{subject.plugin.__name__} has no docstring of its own")


def options_are_described(subject: Any) -> None:
    """Every option has a description."""
    fields = subject.plugin.Options.model_fields
    bare = [name for name, field in fields.items() if not field.description]
    demand(not bare, f"no description: {', '.join(bare)}")


def defaults_are_valid(subject: Any) -> None:
    """Every option has a default, and the defaults pass the options' own validation."""
    schema = subject.plugin.Options
    required = [name for name, field in schema.model_fields.items() if field.is_required()]
    demand(not required, f"no default: {', '.join(required)}")
    try:
        schema.model_validate(schema().model_dump(mode="json"))
    except ValidationError as error:
        first = error.errors()[0]
        demand(False, f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r}")


def unknown_options_are_refused(subject: Any) -> None:
    """A misspelled option is an error, not a silence."""
    schema = subject.plugin.Options
    demand(schema.model_config.get("extra") == "forbid", "unknown options are let through")


def presets_are_valid(subject: Any) -> None:
    """Every preset names its source, and its options are options that there are."""
    if not subject.plugin.presets:
        raise NotApplicable("brings no presets")
    for preset in subject.plugin.presets:
        where = f"preset '{preset.name}'" + (f" for {preset.dataset}" if preset.dataset else "")
        demand(bool(preset.source), f"{where} has no source")
        other_ways = preset.train_ways is not None and not getattr(subject.plugin, "any_ways", True)
        demand(not other_ways, f"{where} trains with other ways, which takes any_ways = True")
        try:
            subject.plugin.Options.model_validate(preset.options)
        except ValidationError as error:
            first = error.errors()[0]
            demand(False, f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}")


DOCUMENTED = Check(documented, 'Say in a """docstring""" under the class line what it is; `mamlbench info` shows it.')
COMMON = (
    DOCUMENTED,
    Check(options_are_described, 'Give each field Field(..., description="...").'),
    Check(defaults_are_valid, "Give each option a default that its own type and limits allow."),
    Check(unknown_options_are_refused, "Derive Options from mamlbench.api.Options and leave extra='forbid' as it is."),
)
PRESETS = Check(presets_are_valid, "Say where a preset's values come from, and spell its options as Options does.")

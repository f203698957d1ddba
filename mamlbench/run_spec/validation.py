"""Explains validation errors in terms of what the user wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from mamlbench.errors import ConfigProblem, did_you_mean, one_line
from mamlbench.run_spec.outside_text import shortened


def explain(
    error: ValidationError, known: Iterable[str], subject: str, *, what: str = "setting", prefix: str = ""
) -> list[ConfigProblem]:
    """Return one sentence per error: an unknown name with the nearest known one, an invalid value with the value.

    The key of each problem is the field's name as a user writes it.

    Args:
        error: raised by validation.
        known: names of the fields.
        subject: owner of the fields, e.g. ``algorithm 'maml'``.
        what: word for a field.
        prefix: what a user writes before a field's name, e.g. ``dataset.``.
    """
    return [_explain(details, known, subject, what, prefix) for details in error.errors()]


def _explain(details: Any, known: Iterable[str], subject: str, what: str, prefix: str) -> ConfigProblem:
    name = one_line(".".join(str(part) for part in details["loc"]))  # in one line
    key = f"{prefix}{name}"
    if details["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return ConfigProblem(f"{subject} has no {what} '{name}'.{did_you_mean(name, known)}", key)
    text = one_line(details["msg"])  # a validator of a plugin may say anything
    message = text[:1].lower() + text[1:]
    return ConfigProblem(f"{subject}: {what} '{key}': {message}, not {shortened(details['input'])}.", key)

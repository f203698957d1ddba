"""Validation errors in a user's words."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from mamlbench.errors import ConfigProblem, did_you_mean


def explain(
    error: ValidationError, known: Iterable[str], subject: str, *, what: str = "setting", prefix: str = ""
) -> list[ConfigProblem]:
    """One sentence for each thing wrong: an unknown name with the nearest known one, a bad value with the value.

    The key of each problem is the field's name as a user writes it.

    Args:
        error: what validation raised.
        known: names of the fields there are.
        subject: what the values were for, e.g. ``algorithm 'maml'``.
        what: what a field is called there.
        prefix: what a user writes before a field's name, e.g. ``dataset.``.
    """
    return [_explain(each, known, subject, what, prefix) for each in error.errors()]


def _explain(each: object, known: Iterable[str], subject: str, what: str, prefix: str) -> ConfigProblem:
    assert isinstance(each, dict)
    name = ".".join(str(part) for part in each["loc"])
    key = f"{prefix}{name}"
    if each["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return ConfigProblem(f"{subject} has no {what} '{name}'.{did_you_mean(name, known)}", key)
    message = each["msg"][0].lower() + each["msg"][1:]
    return ConfigProblem(f"{subject}: {what} '{key}': {message}, not {each['input']!r}.", key)

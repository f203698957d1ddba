"""Validation errors in a user's words."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from mamlbench.errors import did_you_mean


def explain(
    error: ValidationError, known: Iterable[str], subject: str, *, what: str = "setting", prefix: str = ""
) -> list[str]:
    """One sentence for each thing wrong: an unknown name with the nearest known one, a bad value with the value.

    Args:
        error: what validation raised.
        known: names of the fields there are.
        subject: what the values were for, e.g. ``algorithm 'maml'``.
        what: what a field is called there.
        prefix: what a user writes before a field's name, e.g. ``dataset.``.
    """
    return [_explain(each, known, subject, what, prefix) for each in error.errors()]


def _explain(each: object, known: Iterable[str], subject: str, what: str, prefix: str) -> str:
    assert isinstance(each, dict)
    name = ".".join(str(part) for part in each["loc"])
    if each["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{subject} has no {what} '{name}'.{did_you_mean(name, known)}"
    message = each["msg"][0].lower() + each["msg"][1:]
    return f"{subject}: {what} '{prefix}{name}': {message}, not {each['input']!r}."

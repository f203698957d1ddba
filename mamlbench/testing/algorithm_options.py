"""The contract of an algorithm: each of its options has an effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from torch import Tensor

from mamlbench.api import OneOf, Options
from mamlbench.run_spec.search_space import search_space
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.checks import Check, NotApplicable, ensure
from mamlbench.testing.tensor_comparison import changed, snapshot

Values = Mapping[str, Any]
"""Options by name."""
Numbers = Sequence[Mapping[str, Tensor]]
"""What was computed one after the other, each by name."""

ITERATIONS = 2
"""Iterations of training before a test: enough for a schedule to change a number."""


def options_are_used(subject: AlgorithmSubject) -> None:
    """Every option changes a number of training or of a test, or is declared in ``neutral_options``."""
    fields, neutral = subject.plugin.Options.model_fields, subject.plugin.neutral_options
    unknown = sorted(set(neutral) - set(fields))
    ensure(not unknown, f"neutral_options names what is no option: {', '.join(unknown)}")
    if not fields:
        raise NotApplicable("has no options")
    defaults = dict(subject.options())
    reference = list(_numbers(subject))
    unused = [name for name in fields if name not in neutral and not _is_used(subject, name, defaults, reference)]
    ensure(not unused, f"no other value of these changes a number: {', '.join(unused)}")


def _is_used(subject: AlgorithmSubject, name: str, defaults: Values, reference: Numbers) -> bool:
    """Whether another value changes something: by itself, or together with another option's."""
    schema = subject.plugin.Options
    if not _other_values(schema, name, defaults):
        return True  # of a type whose values cannot be guessed, such as a text: nothing can be tried
    return _changes_something(subject, name, defaults, reference) or any(
        _changes_something(subject, name, {**defaults, other: value})
        for other in schema.model_fields
        if other != name
        for value in _other_values(schema, other, defaults)
    )


def _changes_something(subject: AlgorithmSubject, name: str, base: Values, reference: Numbers | None = None) -> bool:
    """Whether another value of the option gives other numbers than ``base`` does, whose numbers are ``reference``."""
    if reference is None:
        try:
            reference = list(_numbers(AlgorithmSubject(subject.plugin, **base)))
        except Exception:  # options that do not go together
            return False
    for value in _other_values(subject.plugin.Options, name, base):
        numbers = _numbers(AlgorithmSubject(subject.plugin, **{**base, name: value}))
        try:
            if any(changed(*pair) for pair in zip(reference, numbers, strict=True)):
                return True
        except Exception:  # refused: so it was looked at
            return True
    return False


def _numbers(subject: AlgorithmSubject) -> Iterator[Mapping[str, Tensor]]:
    """What an option can change: the updates of some iterations, what they lead to, and the outputs of a test."""
    algorithm = subject.build(iterations=ITERATIONS + 1)
    for iteration in range(ITERATIONS):
        update = algorithm.compute_update(subject.training_batch(algorithm, iteration))
        yield snapshot(update.sums)
        algorithm.apply(update)
        yield snapshot(algorithm.meta)
    episodes = subject.episodes()
    yield {"outputs": algorithm.adapt(episodes.support, episodes.keys).predict(episodes.query.x, "inductive")}


def _other_values(schema: type[Options], name: str, values: Values) -> list[Any]:
    """Values that the option's type and limits allow, other than the one it has."""
    annotation, value = schema.model_fields[name].annotation, values[name]
    allowed = []
    for candidate in _candidates(annotation, value):
        if candidate != value and _allows(schema, {**values, name: candidate}):
            allowed.append(candidate)
    return allowed


def _candidates(annotation: Any, value: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    kinds = set(get_args(annotation)) or {annotation}
    if bool in kinds:
        return [not value]
    candidates: list[Any] = [None] if NoneType in kinds else []
    if int in kinds:
        candidates += [1, 2, 0] if value is None else [value // 2, value - 1, value + 1, 2 * value]
    elif float in kinds:
        candidates += [1e-6, 0.1, 10.0] if value is None else [value / 2, 2 * value, 0.5, 0.0, 1.0]
    return candidates


def search_space_is_valid(subject: AlgorithmSubject) -> None:
    """Every value that tuning may try is one that the option allows."""
    schema = subject.plugin.Options
    space = search_space(schema)
    if not space:
        raise NotApplicable("declares no search space, so that 'mamlbench tune' has nothing to try")
    defaults = dict(subject.options())
    refused = [
        f"{name}={value}"
        for name, item in space.items()
        for value in (item.values if isinstance(item, OneOf) else (item.low, item.high))
        if not _allows(schema, {**defaults, name: value})
    ]
    ensure(not refused, f"the options refuse {', '.join(refused)}")


def _allows(schema: type[Options], values: Values) -> bool:
    try:
        schema.model_validate(values)
    except ValidationError:
        return False
    return True


OPTIONS = (
    Check(
        options_are_used,
        "Use the option or remove it: a user who sets it believes that it does something. An option that changes time "
        "or memory alone belongs in neutral_options, with what it changes.",
    ),
    Check(
        search_space_is_valid,
        "Declare a range inside the option's own limits: Annotated[float, LogUniform(0.001, 1.0)] = Field(0.1, gt=0).",
    ),
)

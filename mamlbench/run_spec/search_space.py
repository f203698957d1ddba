"""Search spaces: which values of an option tuning tries, declared in the option's annotation.

For example::

    inner_lr: Annotated[float, LogUniform(0.01, 1.0)] = Field(0.4, gt=0, description="inner learning rate")

Options without such a declaration keep their values while others are tuned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mamlbench.run_spec.options import Options


@dataclass(frozen=True)
class Uniform:
    """Any number from ``low`` to ``high``, each as likely as another. Raises ValueError unless low < high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_order(self.low, self.high)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class LogUniform:
    """Any number from ``low`` to ``high``, its logarithm uniform: for rates.

    Raises ValueError unless 0 < low < high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_order(self.low, self.high, positive=True)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, log"


@dataclass(frozen=True)
class IntRange:
    """Any integer from ``low`` to ``high``; with ``log``, small ones are likelier: for numbers of steps.

    Raises ValueError unless low < high and, with ``log``, 0 < low.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_order(self.low, self.high, positive=self.log)

    def __str__(self) -> str:
        return f"{self.low} to {self.high}{', log' if self.log else ''}"


@dataclass(frozen=True, init=False)
class OneOf:
    """One of these values, which JSON can hold. Raises ValueError if there are fewer than two."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if len(values) < 2:
            raise ValueError("a choice has two values or more")
        object.__setattr__(self, "values", values)

    def __str__(self) -> str:
        return " or ".join(map(str, self.values))


SearchRange = Uniform | LogUniform | IntRange | OneOf
"""What an option's annotation may declare."""

SearchSpace = Mapping[str, SearchRange]
"""The declarations of a method's options, by name."""


def search_space(options: type[Options]) -> dict[str, SearchRange]:
    """Return what the options declare, by name, in the order of the fields; the last declaration of a field counts."""
    return {
        name: declared[-1]
        for name, field in options.model_fields.items()
        if (declared := [item for item in field.metadata if isinstance(item, SearchRange)])
    }


def space_facts(space: SearchSpace) -> dict[str, dict[str, Any]]:
    """Describe a space in plain data, for records: the kind of each range and its limits, by option."""
    return {name: {"kind": type(item).__name__, **json.loads(json.dumps(asdict(item)))} for name, item in space.items()}


def hash_of_facts(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 of a space as ``space_facts`` describes it, as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _check_order(low: float, high: float, *, positive: bool = False) -> None:
    if not low < high or (positive and low <= 0):
        needed = "0 < low < high" if positive else "low < high"
        raise ValueError(f"{low:g} to {high:g} is no range: {needed} is needed")

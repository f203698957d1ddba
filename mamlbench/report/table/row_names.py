"""What a row is called: the user's label, or the method with the fewest settings that distinguish it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

FIRST = ("preset", "backbone", "init", "sampler", "tuning_trials")
"""Settings that say most about a row, each of which stands for several others; then the method's options follow."""

BY_VALUE = ("preset", "backbone")
"""Settings whose value alone is clear."""

Settings = Mapping[str, Any]


def row_names(algorithm: str, labels: Sequence[str], settings: Sequence[Settings]) -> list[str]:
    """Return a name for each row of one method.

    Args:
        algorithm: its registered name.
        labels: what the user called each row; may be empty.
        settings: of each row, all of them.
    """
    short = short_settings(settings)
    times = Counter(label for label, _ in {(label, repr(values)) for label, values in zip(labels, short, strict=True)})
    names = []
    for label, values in zip(labels, short, strict=True):
        text = ", ".join(str(value) if name in BY_VALUE else f"{name}={value}" for name, value in values.items())
        if label:
            names.append(label if times[label] == 1 else f"{label} ({text})" if text else label)
        else:
            names.append(f"{algorithm} ({text})" if text else algorithm)
    return names


def short_settings(settings: Sequence[Settings]) -> list[dict[str, Any]]:
    """Choose the fewest settings that distinguish all rows: one if one is enough, else those that split most.

    Args:
        settings: of each row, in the order of their importance after ``FIRST``.
    """
    every = dict.fromkeys(name for values in settings for name in values)
    names = [*(name for name in FIRST if name in every), *(name for name in every if name not in FIRST)]
    chosen: list[str] = []
    parts = 1
    while parts < len(settings):
        numbers = {name: _parts(settings, [*chosen, name]) for name in names if name not in chosen}
        best = max(numbers, key=lambda name: numbers[name], default=None)  # of equal ones the first
        if best is None or numbers[best] <= parts:
            break
        chosen.append(best)
        parts = numbers[best]
    return [{name: values[name] for name in chosen if name in values} for values in settings]


def _parts(settings: Sequence[Settings], names: Sequence[str]) -> int:
    return len({repr([values.get(name) for name in names]) for values in settings})

"""Metrics by the names that users write: ``macro F1``, ``macro-f1`` and ``macro_f1`` are one."""

from __future__ import annotations

import re
from collections.abc import Iterable


def column_name(metric: str) -> str:
    """The metric's name in small letters, digits and underscores: ``macro F1`` is ``macro_f1``."""
    return re.sub(r"[^a-z0-9]+", "_", metric.lower()).strip("_")


def find_metric(name: str, known: Iterable[str]) -> str | None:
    """Return the known metric that ``name`` means, whatever its capitals, spaces and hyphens; None if there is none."""
    known = list(known)
    if name in known:
        return name
    return next((metric for metric in known if column_name(metric) == column_name(name)), None)

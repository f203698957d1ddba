"""What a run left out because it was not finite (``--on-divergence skip``)."""

from __future__ import annotations

from collections.abc import Sequence

from mamlbench.record.record_part import RecordPart


class Skipped(RecordPart):
    """Updates and validations that were left out, by the meta-iteration (counted from 1) at which they were."""

    updates: list[int]
    """iterations whose update was not applied"""
    validations: list[int]
    """iterations whose validation selected nothing"""


def skipped_parts(updates: Sequence[int], validations: Sequence[int]) -> Skipped | None:
    """Return what was left out; None if nothing was."""
    return Skipped(updates=list(updates), validations=list(validations)) if updates or validations else None

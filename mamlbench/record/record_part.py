"""Base of everything in a record."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RecordPart(BaseModel):
    """Base of everything in a record: immutable, without unknown fields."""

    # JSON has no NaN: as null, the record of a diverged run could be written and never read again.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

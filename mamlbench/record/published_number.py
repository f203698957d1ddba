"""Published numbers with their sources and conditions, as plain data."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mamlbench.run_spec.protocol import TestMode

Tier = Literal["quoted", "run at a scale", "run in full", "reproduced"]
"""How far this repository's own runs have come: not at all; with fewer iterations, or on a part of the data set; in
full; and in full to the same score."""


class PublishedNumber(BaseModel):
    """One number of a paper or of a project's page. None: not stated by the source, or not applicable."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9.+-]+$")
    """source and experiment, as in 'finn2017/omniglot-5w1s-maml'"""
    algorithm: str
    """its name in the registry, whether installed or not"""
    dataset: str
    """its name in the registry"""
    ways: int | None = Field(None, ge=1)
    """classes per episode"""
    shots: int = Field(ge=1)
    """support examples per class; in regression, points"""
    queries: int | None = Field(None, ge=1)
    """query examples per class at test time"""
    test_episodes: int | None = Field(None, ge=1)
    """number of test episodes"""
    steps: int | None = Field(None, ge=0)
    """adaptation steps at test time"""
    mode: TestMode | None = None
    """batch-norm mode of the query examples"""
    backbone: str | None = None
    """the network, in words"""
    metric: str = Field("accuracy", min_length=1)
    """name of the metric in the registry, whether installed or not"""
    unit: str = "%"
    """of score and interval"""
    score: float
    """the number, as printed"""
    interval: float | None = Field(None, gt=0)
    """half width, as printed behind ±"""
    interval_over: Literal["episodes", "seeds"] | None = None
    """what ± is over"""
    trained_on: str | None = None
    """on what it was trained, if not on the training classes alone"""
    source: str = Field(min_length=1)
    """paper and table, or page"""
    second_hand: bool = False
    """whether the number was read in a quotation and not in its source"""
    tier: Tier = "quoted"
    """how far this repository's own runs have come"""
    records: tuple[str, ...] = ()
    """names of the records in this repository's results that the tier rests on"""
    note: str = ""
    """what to know before comparing with it"""

    @property
    def printed(self) -> str:
        """Score and interval with as many decimals as the source has: ``48.70 ± 1.84``."""
        values = [self.score, *([] if self.interval is None else [self.interval])]
        digits = max(len(repr(value).partition(".")[2]) for value in values)
        return " ± ".join(f"{value:.{digits}f}" for value in values)

    @model_validator(mode="after")
    def _possible(self) -> PublishedNumber:
        if self.unit == "%" and not 0 <= self.score <= 100:
            raise ValueError(f"{self.id}: {self.score} is no percentage")
        if (self.tier == "quoted") != (not self.records):
            raise ValueError(f"{self.id}: the tier '{self.tier}' must name the records that it rests on, 'quoted' none")
        return self


class PublishedNumberGroup(BaseModel):
    """Results with the fields that they share, as in a file of published numbers."""

    model_config = ConfigDict(frozen=True, extra="allow")

    results: list[dict[str, Any]]

    def entries(self) -> list[dict[str, Any]]:
        """Return each result with the shared fields."""
        return [{**(self.model_extra or {}), **result} for result in self.results]

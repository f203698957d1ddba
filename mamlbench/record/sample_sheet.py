"""Sample episodes of a run: an artifact with images and predictions, for the HTML page."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

SAMPLES = "episodes.png"
"""The artifact's file name: a sheet of images, one line per episode (its support, then its queries)."""
TEXT_KEY = "mamlbench"
"""Key of the PNG's text that holds ``Samples`` as JSON."""


class SampleEpisode(BaseModel):
    """Labels 0..ways-1 of the images in one line of the sheet, and the predictions for its queries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=0, description="of the test split")
    support: list[int] = Field(min_length=1, max_length=200)
    query: list[int] = Field(min_length=1, max_length=200)
    before: list[int] | None = Field(None, max_length=200, description="predictions before adaptation")
    after: list[int] = Field(max_length=200, description="predictions after adaptation")


class Samples(BaseModel):
    """Description of a sheet. Every line has the same number of support and of query images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str = Field(max_length=40, description="batch-norm mode of the predictions")
    episodes: list[SampleEpisode] = Field(min_length=1, max_length=8)

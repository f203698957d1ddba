"""What a user asks for: names and the few values given; planning fills in the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mamlbench.spec.protocol import Mode


class RunRequest(BaseModel):
    """A request for one or more runs. None means: as the preset has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithms: tuple[str, ...] = Field(min_length=1)
    dataset: str = "glyphs"
    backbone: str | None = None
    sampler: str = "fresh"
    preset: str = "quick"
    iterations: int | None = Field(None, ge=0)
    meta_batch: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    seeds: int = Field(1, ge=1, description="number of training seeds: seed, seed + 1, ...")
    ways: int | None = Field(None, ge=1)
    shots: int | None = Field(None, ge=1)
    queries: int | None = Field(None, ge=1)
    test_episodes: int | None = Field(None, ge=2)
    validation_episodes: int | None = Field(None, ge=2)
    episode_seed: int | None = Field(None, ge=0)
    modes: tuple[Mode, ...] | None = None
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="'inner_lr' is the algorithm's; 'dataset.rotations', 'backbone.width', 'sampler.tasks' the others'",
    )
    device: str = "auto"
    engine: str = "auto"
    checkpoint_every: int | None = Field(None, ge=0)
    target_score: float | None = None


class Folders(BaseModel):
    """Where results go, where raw data may lie (each place with the reason it is one), where prepared data is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: Path = Path("results")
    data: tuple[tuple[str, Path], ...] = ()
    cache: Path

"""Presets: named settings of an algorithm for a data set and protocol, each with its source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Setting(NamedTuple):
    """The data set and task that presets depend on."""

    dataset: str
    ways: int
    shots: int


class Tuned(BaseModel):
    """How options were tuned: where they come from, in numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int = Field(ge=1, description="trials that the options were chosen from; 1: the default ones")
    trial: int = Field(0, ge=0, description="number of the chosen one; 0 are the default options")
    score: float | None = Field(None, description="its validation score")
    default_score: float | None = Field(None, description="validation score of trial 0")
    on: str = Field("", description="data set, task, network and length of the trials")
    sampler_seed: int = Field(0, description="seed of the drawn options")
    space: str = Field("", description="hash of the search space")
    date: str = Field("", description="day of the last trial")
    software: str = Field("", description="version and hash of the code that computed the chosen trial")


class Preset(BaseModel):
    """Settings for the runs whose ``dataset``, ``ways`` and ``shots`` match; a condition that is None matches any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="'quick' (the default: a laptop's few minutes), 'paper', or a name of your own")
    dataset: str | None = None
    """condition on the data set"""
    ways: int | None = None
    """condition on the classes per episode"""
    shots: int | None = None
    """condition on the support examples per class"""
    source: str = Field("", description="where the settings come from: paper and table, or how they were chosen")

    iterations: int
    """meta-iterations"""
    meta_batch_size: int
    """tasks per meta-iteration; labeled examples for pretraining"""
    train_ways: int | None = Field(None, description="classes per training episode; None: the protocol's ways")
    train_shots: int | None = Field(None, description="support per class in training; None: the protocol's shots")
    train_queries: int | None = Field(None, description="queries per class in training; None: the protocol's queries")
    validations: int = Field(8, description="validations spread over the run")
    options: dict[str, Any] = Field(default_factory=dict, description="the algorithm's options")
    backbone: str | None = Field(None, description="None: the one the data set suggests")
    backbone_options: dict[str, Any] = Field(default_factory=dict)
    """options of the backbone"""
    dataset_options: dict[str, Any] = Field(default_factory=dict)
    """options of the data set"""
    sampler: str | None = Field(None, description="None: fresh tasks")
    sampler_options: dict[str, Any] = Field(default_factory=dict)
    """options of the sampler"""
    protocol: dict[str, Any] = Field(default_factory=dict, description="fields of the test protocol")
    tuned: Tuned | None = Field(None, description="how the options were tuned; None: by hand, or it is not known")
    mistake: str = Field("", description="a mistake of the source that these settings repeat; scores are marked")
    differences: tuple[str, ...] = Field((), description="what still differs from the source, one sentence each")

    def matches(self, setting: Setting) -> bool:
        """Whether every condition of this preset holds."""
        conditions = (self.dataset, self.ways, self.shots)
        return all(
            condition is None or condition == value for condition, value in zip(conditions, setting, strict=True)
        )

    @property
    def conditions(self) -> int:
        """Number of conditions: of two presets that match, the one with more is chosen."""
        return sum(value is not None for value in (self.dataset, self.ways, self.shots))


def choose_preset(presets: Iterable[Preset], name: str, setting: Setting) -> Preset | None:
    """Return the most specific preset called ``name`` that matches ``setting``; None if there is none."""
    matching = [preset for preset in presets if preset.name == name and preset.matches(setting)]
    return max(matching, key=lambda preset: preset.conditions, default=None)

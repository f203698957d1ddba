"""Presets: named settings of an algorithm for a data set and protocol, each with its source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Setting(NamedTuple):
    """What a preset may depend on."""

    dataset: str
    ways: int
    shots: int


class Preset(BaseModel):
    """Settings that hold where ``dataset``, ``ways`` and ``shots`` (those that are given) match."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="'quick' (the default: a laptop's few minutes), 'paper', or a name of your own")
    dataset: str | None = None
    """data set that it holds for; None: any"""
    ways: int | None = None
    """classes per episode that it holds for; None: any"""
    shots: int | None = None
    """support examples per class that it holds for; None: any"""
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
    protocol: dict[str, Any] = Field(default_factory=dict, description="test protocol, where the source has its own")

    def matches(self, setting: Setting) -> bool:
        """Whether every condition of this preset that is given holds."""
        return all(
            wanted is None or wanted == got
            for wanted, got in zip((self.dataset, self.ways, self.shots), setting, strict=True)
        )

    @property
    def conditions(self) -> int:
        """Number of conditions given: of two presets that match, the one with more wins."""
        return sum(value is not None for value in (self.dataset, self.ways, self.shots))


def choose_preset(presets: Iterable[Preset], name: str, setting: Setting) -> Preset | None:
    """Return the most specific preset called ``name`` that matches ``setting``; None where there is none."""
    fitting = [preset for preset in presets if preset.name == name and preset.matches(setting)]
    return max(fitting, key=lambda preset: preset.conditions, default=None)

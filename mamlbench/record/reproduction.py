"""Reproductions of published numbers, as plain data: which settings a number is run again with, and by what margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mamlbench.record.published_number import PublishedNumber
from mamlbench.run_spec import RunSpec, TestMode
from mamlbench.run_spec.bounds import MOST

SEPARATOR = ":"
"""Between the name of a reproduction and that of one of its readings."""


class ReproducedSettings(BaseModel):
    """Settings of a run, as fields of a RunRequest. None: those of the preset."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    algorithm: str | None = None
    """registered name of the method; that of the number if nothing names another"""
    preset: str | None = None
    """name of a preset of the method; 'paper' if nothing names another"""
    backbone: str | None = None
    """a registered name"""
    sampler: str | None = None
    """a registered name"""
    iterations: int | None = Field(None, ge=1, le=MOST)
    """meta-iterations of the whole run"""
    meta_batch_size: int | None = Field(None, ge=1, le=MOST)
    """tasks per meta-iteration"""
    train_ways: int | None = Field(None, ge=1, le=MOST)
    """classes per training episode"""
    train_shots: int | None = Field(None, ge=1, le=MOST)
    """support examples per class in training"""
    train_queries: int | None = Field(None, ge=0, le=MOST)
    """query examples per class in training"""
    queries: int | None = Field(None, ge=1, le=MOST)
    """query examples per class at test time"""
    test_episodes: int | None = Field(None, ge=2, le=MOST)
    """number of test episodes"""
    options: dict[str, Any] = Field(default_factory=dict)
    """options of the algorithm, and of other components as backbone.NAME, dataset.NAME, sampler.NAME"""


class Reading(ReproducedSettings):
    """One way to read an ambiguous source, or to run a method with a mistake of the original; the settings differ."""

    name: str = Field(pattern=r"^[a-z0-9.+-]+$")
    """unique in its reproduction"""
    about: str = Field(min_length=1)
    """what differs, in a few words"""
    mistake: str = ""
    """a mistake of the original that this reading repeats; it is marked wherever its score is shown"""
    differences: tuple[str, ...] = ()
    """what differs from the source in this reading alone"""
    not_comparable: str = ""
    """why no score of this reading can be compared with the number; empty: it can"""


class Reproduction(ReproducedSettings):
    """How a published number is run again."""

    name: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9.+-]+$")
    """as in 'finn2017/omniglot-5w1s'; unique"""
    number: str
    """id of the published number"""
    system: str = ""
    """the code whose settings these are, as in 'cbfinn/maml', if it has a name of its own"""
    reading: str = Field("", pattern=r"^[a-z0-9.+-]*$")
    """name of the reading that these settings are, if there are others"""
    about: str = ""
    """what this reading is, in a few words"""
    mode: TestMode | None = None
    """mode whose score is compared; None: that of the number, else the first that is tested"""
    margin: float = Field(gt=0)
    """largest difference, in the unit of the number, that counts as the same score"""
    mistake: str = ""
    """a mistake of the original that this reading, which is no variant, repeats"""
    standard_error: float | None = Field(None, gt=0)
    """standard error of the source's number, in its unit; None: its ± is the half width of a 95 % interval"""
    per_iteration: tuple[str, ...] = ()
    """options that count iterations, which a run at a scale changes too"""
    differences: tuple[str, ...] = ()
    """what differs from the source beside what the preset names"""
    not_comparable: str = ""
    """why no score can be compared with the number; empty: it can"""
    variants: tuple[Reading, ...] = ()
    """the other readings"""

    @model_validator(mode="after")
    def _named_readings(self) -> Reproduction:
        names = [self.reading, *(variant.name for variant in self.variants)]
        if self.variants and not all(names):
            raise ValueError(f"{self.name}: with variants, 'reading' must name the reading that is none of them")
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: two readings have the same name")
        return self

    @property
    def readings(self) -> list[str]:
        """Names of all readings, the first that of these settings; empty if there is one alone."""
        return [self.reading, *(variant.name for variant in self.variants)] if self.variants else []

    def variant(self, name: str) -> Reading | None:
        """Return the variant of this name; None for the reading that is none of them. Raises KeyError for others."""
        if name in ("", self.reading):
            return None
        return {variant.name: variant for variant in self.variants}[name]

    def settings(self, variant: Reading | None) -> dict[str, Any]:
        """Return the settings of a reading as fields of a RunRequest; options are merged, the variant's count."""
        layers = [self, *([variant] if variant else [])]
        values: dict[str, Any] = {"preset": "paper"}
        for layer in layers:
            for name in ReproducedSettings.model_fields:
                value = getattr(layer, name)
                if value is not None and name != "options":
                    values[name] = value
        return {**values, "options": {key: value for layer in layers for key, value in layer.options.items()}}


class ReproductionGroup(BaseModel):
    """Reproductions with the fields that they share, as in a file of published numbers."""

    model_config = ConfigDict(frozen=True, extra="allow")

    reproduces: list[dict[str, Any]]

    def entries(self) -> list[dict[str, Any]]:
        """Return each reproduction with the shared fields; options are merged, and differences joined."""
        return [self._merged(entry) for entry in self.reproduces]

    def _merged(self, entry: dict[str, Any]) -> dict[str, Any]:
        shared = self.model_extra or {}
        merged = {**shared, **entry}
        if isinstance(shared.get("options"), dict) and isinstance(entry.get("options"), dict):
            merged["options"] = {**shared["options"], **entry["options"]}
        if isinstance(shared.get("differences"), list) and isinstance(entry.get("differences"), list):
            merged["differences"] = [*shared["differences"], *entry["differences"]]
        return merged


@dataclass(frozen=True)
class PlannedReproduction:
    """One reading of a reproduction, with the runs that it takes."""

    reproduction: Reproduction
    number: PublishedNumber
    variant: Reading | None
    """None: the reading that is no variant"""
    full: RunSpec
    """the run of the source's length, with the first training seed"""
    specs: tuple[RunSpec, ...]
    """the runs, one for each training seed; shorter than ``full`` at a scale below 1"""
    scale: float
    """the fraction of the iterations that was asked for"""
    mode: TestMode
    """mode whose score is compared"""
    differences: tuple[str, ...] = ()
    """what differs from the source, a sentence each"""

    @property
    def name(self) -> str:
        """Name of the reproduction, with that of its reading if there are several."""
        reading = self.variant.name if self.variant else self.reproduction.reading
        return f"{self.reproduction.name}{SEPARATOR}{reading}" if self.reproduction.readings else self.reproduction.name

    @property
    def mistake(self) -> str:
        """The mistake of the original that this reading repeats; empty if there is none."""
        return self.variant.mistake if self.variant else self.reproduction.mistake

    @property
    def not_comparable(self) -> str:
        """Why no score of this reading can be compared with the number; empty if it can."""
        return (self.variant.not_comparable if self.variant else "") or self.reproduction.not_comparable

    def is_of(self, spec: RunSpec) -> bool:
        """Whether a run has these settings, at any scale, with any training seed, on any device and by any engine."""
        return self._settings(self.full) == self._settings(spec)

    def iterations_share(self, spec: RunSpec) -> float:
        """The share of the source's iterations that a run has."""
        return spec.training.iterations / max(1, self.full.training.iterations)

    def _settings(self, spec: RunSpec) -> dict[str, Any]:
        """What must be equal for a run to be one of this reading."""
        settings = spec.model_dump(mode="json", include={"algorithm", "dataset", "backbone", "sampler"})
        for name in self.reproduction.per_iteration:
            settings["algorithm"]["options"].pop(name, None)
        training, protocol = spec.training, spec.protocol
        batch = (training.meta_batch_size, training.ways, training.shots, training.queries)
        return {**settings, "training": batch, "protocol": (protocol.ways, protocol.shots, protocol.queries)}


def iterations_at(scale: float, iterations: int) -> int:
    """Return a fraction of a number of iterations, at least one."""
    return max(1, math.floor(scale * iterations + 0.5))

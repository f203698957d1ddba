"""Speedruns as plain data: a target, its tracks, the entries, and what was measured of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mamlbench.record.environment import Environment
from mamlbench.record.record_part import RecordPart
from mamlbench.run_spec import TestMode
from mamlbench.run_spec.bounds import MOST

_FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SpeedrunPhase(BaseModel):
    """A part of an entry's training, as fields of a RunRequest. What is tested, and how, is the target's."""

    model_config = _FROZEN

    algorithm: str
    """registered name of the method"""
    iterations: int = Field(ge=1, le=MOST)
    """meta-iterations"""
    meta_batch_size: int | None = Field(None, ge=1, le=MOST)
    """tasks per meta-iteration"""
    train_ways: int | None = Field(None, ge=1, le=MOST)
    """classes per training episode"""
    train_shots: int | None = Field(None, ge=1, le=MOST)
    """support examples per class in training"""
    train_queries: int | None = Field(None, ge=0, le=MOST)
    """query examples per class in training"""
    backbone: str | None = None
    """registered name of the network"""
    sampler: str | None = None
    """registered name of the task sampler"""
    options: dict[str, Any] = Field(default_factory=dict)
    """options of the algorithm, and of other components as backbone.NAME, sampler.NAME"""

    @field_validator("options", mode="before")
    @classmethod
    def _join_names(cls, options: Any) -> Any:
        """TOML reads ``backbone.width = 32`` as a table in a table."""
        if not isinstance(options, dict):
            return options
        pairs = [
            (f"{name}.{inner}", value) if inner else (name, value)
            for name, values in options.items()
            for inner, value in (values.items() if isinstance(values, dict) else [("", values)])
        ]
        return dict(pairs)

    @model_validator(mode="after")
    def _the_data_is_the_targets(self) -> SpeedrunPhase:
        if foreign := [name for name in self.options if name.startswith("dataset.")]:
            raise ValueError(f"{foreign[0]}: the data set and its options are the target's")
        return self


class SpeedrunEntry(BaseModel):
    """A way to reach the target: phases of training, each of which starts from the features of the one before."""

    model_config = _FROZEN

    name: str = Field(pattern=r"^[a-z0-9.+-]+$")
    """unique in its target"""
    track: str
    """name of a track"""
    about: str = Field(min_length=1)
    """what it changes, in a sentence"""
    author: str = ""
    """who found it"""
    date: str = Field("", pattern=r"^(\d{4}-\d{2}-\d{2})?$")
    """when it was added, as 2026-11-30"""
    phase: tuple[SpeedrunPhase, ...] = Field(min_length=1)
    """in their order; the last one's model is tested"""


class SpeedrunTrack(BaseModel):
    """What entries may change."""

    model_config = _FROZEN

    name: str
    """one letter or word"""
    rule: str
    """what is fixed and what is free, in a sentence"""
    algorithm: str | None = None
    """method of the last phase; None: any"""
    backbone: str | None = None
    """network of every phase; None: any"""
    backbone_options: dict[str, Any] = Field(default_factory=dict)
    """options of the network that must have these values"""
    baseline: str
    """name of the entry that runs beside every other, on the same machine by turns"""


class SpeedrunTarget(BaseModel):
    """A test that a trained model has to pass: the score, on which episodes, and with which certainty."""

    model_config = _FROZEN

    name: str = Field(pattern=r"^[a-z0-9.+-]+$")
    """what users type"""
    about: str
    """the target in a sentence"""
    dataset: str
    """registered name"""
    ways: int = Field(ge=2)
    shots: int = Field(ge=1)
    queries: int = Field(ge=1)
    """query examples per class"""
    test_episodes: int = Field(ge=2)
    mode: TestMode
    """of batch norm at test time"""
    score: float = Field(gt=0, lt=1)
    """mean over training seeds, as a fraction of 1"""
    level: float = Field(gt=0, lt=0.5)
    """largest p of the one-sided test that the mean is below the score"""
    seeds: int = Field(ge=2)
    """training seeds of a claim"""
    track: tuple[SpeedrunTrack, ...] = Field(min_length=1)
    entry: tuple[SpeedrunEntry, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> SpeedrunTarget:
        tracks, names = [track.name for track in self.track], [entry.name for entry in self.entry]
        for values, what in ((tracks, "track"), (names, "entry")):
            if twice := next((value for value in values if values.count(value) > 1), None):
                raise ValueError(f"{what} '{twice}' is there twice")
        if unknown := next((entry for entry in self.entry if entry.track not in tracks), None):
            raise ValueError(f"entry '{unknown.name}': there is no track '{unknown.track}'")
        if missing := next((track for track in self.track if track.baseline not in names), None):
            raise ValueError(f"track '{missing.name}': there is no entry '{missing.baseline}'")
        return self

    def track_of(self, entry: SpeedrunEntry) -> SpeedrunTrack:
        """Return the track that an entry is in."""
        return next(track for track in self.track if track.name == entry.track)


class SpeedrunTrial(RecordPart):
    """One entry with one training seed."""

    seed: int
    score: float
    """test score, as a fraction of 1"""
    training_seconds: float
    """wall time of data and updates in all phases, without building, validation, test and checkpoints"""
    device_seconds: float
    """the same on the device's clock: of a CPU, processor seconds"""
    records: tuple[str, ...]
    """names of the records of its phases"""


class SpeedrunResult(RecordPart):
    """What was measured of an entry: a line of the ledger."""

    target: str
    entry: SpeedrunEntry
    is_baseline: bool
    trials: tuple[SpeedrunTrial, ...]
    environment: Environment
    """machine and software"""
    date: str
    """day of the measurement, as 2026-11-30"""
    beside: tuple[str, ...] = ()
    """names of the entries that ran by turns with it, the baseline among them"""
    load: str = ""
    """what else the machine did meanwhile; empty if that is not known"""
    busy: bool = False
    """whether that was so much that the times count for nothing"""

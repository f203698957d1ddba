"""The file of a tuning study: one line of JSON for the study, one for each trial, and nothing else.

A line is appended whole and flushed when a trial has ended. If the process is killed while it writes, the unfinished
line is the last one; a reader leaves it out and the next writer removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mamlbench.errors import ConfigError
from mamlbench.record.environment import Environment
from mamlbench.record.record_part import RecordPart
from mamlbench.run_spec import RunSpec
from mamlbench.run_spec.outside_text import file_name_of, loads_strictly, read_limited

MAX_STUDY_BYTES = 1 << 26
"""A study of ten thousand trials has a tenth of it."""

TrialStatus = Literal["finished", "diverged", "failed"]


class StudyHeader(RecordPart):
    """What stays the same throughout a study: two studies with equal ``key`` are one."""

    study: Literal[1] = 1
    """version of this format"""
    spec: RunSpec
    """the run of trial 0: the options of the preset"""
    space: dict[str, dict[str, Any]]
    """what tuning tries, by option: the kind of each range and its limits"""
    sampler: str
    """how options are drawn"""
    sampler_seed: int
    """seed of the draws"""

    @property
    def key(self) -> str:
        """SHA-256 over all of it, as 64 hexadecimal digits."""
        content = self.model_dump(mode="json", exclude={"spec"}) | {"spec": self.spec.hash}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def file_name(self) -> str:
        """Name of the study's file."""
        protocol = self.spec.protocol
        name = f"{self.spec.dataset.name}-{protocol.ways}w{protocol.shots}s-{self.spec.algorithm.name}"
        return f"{file_name_of(name)}-{self.key[:8]}.jsonl"


class TuningTrial(RecordPart):
    """One trial: options, and the validation score that they reached."""

    trial: int = Field(ge=0, description="its number in the study; 0 has the options of the preset")
    options: dict[str, Any]
    """the options of the space with their values"""
    metric: str
    """whose validation score it is: the first of the protocol"""
    unit: str
    """of the score, as in ``MetricResult``"""
    higher_is_better: bool
    """direction of the score"""
    status: TrialStatus
    """how it ended; one that failed or diverged counts as a trial without a score"""
    score: float | None = Field(None, description="best validation score, that of the model a run would test")
    iteration: int | None = None
    """iteration of that model"""
    reason: str = ""
    """why it did not finish"""
    validations: dict[int, float] = Field(default_factory=dict, description="validation score by iteration")
    engine: str = ""
    """how tasks were computed: all trials of a study are computed so"""
    wall_seconds: float = 0.0
    """of the whole trial"""
    device_seconds: float = 0.0
    """CPU seconds of the process, or seconds between CUDA events"""
    started: str = ""
    """date and time, UTC"""
    data_hash: str = ""
    """content hash of the data set"""
    environment: Environment | None = Field(None, description="machine and software; None: as of the trial before")


class StudyFile:
    """A study on disk.

    Args:
        path: its file, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[StudyHeader, list[TuningTrial]] | None:
        """Read the study with its trials in order of number; None if it has not begun.

        Raises ConfigError if the file is not one of a study.
        """
        try:
            lines = read_limited(self.path, MAX_STUDY_BYTES).split(b"\n")[:-1]  # after the last one: an unfinished one
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(f"The study '{self.path}' cannot be read: {error}.") from error
        if not lines:
            return None
        try:
            header = StudyHeader.model_validate(loads_strictly(lines[0]))
            trials = [TuningTrial.model_validate(loads_strictly(line)) for line in lines[1:]]
        except (ValidationError, ValueError) as error:
            first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise ConfigError(f"'{self.path}' is not the file of a tuning study: {first}.") from error
        return header, sorted(trials, key=lambda trial: trial.trial)

    def append(self, part: StudyHeader | TuningTrial) -> None:
        """Append a line, and flush it to disk; an unfinished line before it is removed.

        Raises OSError if it cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = part.model_dump_json(exclude_defaults=not isinstance(part, StudyHeader)).encode() + b"\n"
        with self.path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

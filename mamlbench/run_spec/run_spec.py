"""One training run, as plain data; its canonical hash identifies it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mamlbench.run_spec.bounds import MOST, MOST_SEED
from mamlbench.run_spec.precision import Precision
from mamlbench.run_spec.protocol import Protocol

OnDivergence = Literal["stop", "skip"]
"""Whether an update that is not finite ends the run, or is skipped and counted."""

Label = Annotated[str, Field(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A name that a user gives a row: one line."""

ADDED_LATER = {
    "": ("deterministic", "tuning_trials", "mistake", "init_sha256", "weights_sha256"),
    "protocol": ("test_sampling", "test_until", "label_noise", "corrupt", "least_ways", "least_shots", "imbalance"),
    "training": ("on_divergence", "allow_leak", "least_ways", "least_shots"),
}
"""Fields that the first release of this format lacked, by part of the spec ('': the spec itself): at their defaults
they are no part of the hash of a spec, so that a run keeps the hash that it had."""


_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz))$", re.IGNORECASE)


class Component(BaseModel):
    """A registered plugin by name, with its options (validated by the plugin's own schema)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """registered name"""
    options: dict[str, Any] = Field(default_factory=dict)
    """every option with its value"""

    @property
    def title(self) -> str:
        """What it is called in titles: of a user's own data, read from a path, the name of the folder or archive."""
        path = self.options.get("path")
        own_name = PurePath(path.rstrip("/\\")).name if isinstance(path, str) else ""
        return _ARCHIVE.sub("", own_name) or self.name


class Training(BaseModel):
    """The training protocol: number of iterations, what a batch is, intervals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: int = Field(ge=0, le=MOST, description="meta-iterations (outer updates)")
    meta_batch_size: int = Field(
        ge=1, le=MOST, description="tasks per meta-iteration; labeled examples for pretraining"
    )
    ways: int = Field(ge=1, le=MOST, description="classes per training episode")
    shots: int = Field(ge=1, le=MOST, description="support examples per class in training episodes")
    queries: int = Field(ge=0, le=MOST, description="query examples per class in training episodes")
    validate_every: int = Field(ge=1, le=MOST, description="iterations between validations")
    log_every: int = Field(10, ge=1, le=MOST, description="iterations between progress reports")
    checkpoint_every: int = Field(
        0, ge=0, le=MOST, description="iterations between checkpoints; 0: at validations only"
    )
    checkpoint_seconds: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="most seconds between checkpoints, beside those at validations; None: 60, or more where "
        "checkpoints would take 0.4 % of the time; changes no number and is no part of the spec's hash",
    )
    target_score: float | None = Field(
        None, allow_inf_nan=False, description="validation score whose first crossing is timed"
    )
    on_divergence: OnDivergence = Field(
        "stop", description="'stop' ends the run at an update that is not finite; 'skip' leaves it out and counts it"
    )
    least_ways: int | None = Field(
        None, ge=2, le=MOST, description="fewest classes of an episode: each meta-batch has one number up to 'ways'"
    )
    least_shots: int | None = Field(
        None, ge=1, le=MOST, description="fewest support examples per class: each meta-batch has one up to 'shots'"
    )
    allow_leak: bool = Field(
        False, description="whether it runs although splits share classes or images; its scores are marked"
    )

    @property
    def sizes_vary(self) -> bool:
        """Whether meta-batches have several numbers of classes or shots."""
        return self.least_ways is not None or self.least_shots is not None


class RunSpec(BaseModel):
    """Everything that determines one run, with every default filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Component
    """the method"""
    dataset: Component
    """the data set"""
    backbone: Component
    """the network"""
    sampler: Component
    """draws the episodes"""
    protocol: Protocol
    """of validation and test"""
    training: Training
    """of training"""
    preset: str
    """name of the settings it was planned with"""
    seed: int = Field(0, ge=0, le=MOST_SEED, description="training seed: initial parameters and training episodes")
    device: str = "cpu"
    """'cpu', 'cuda' or 'cuda:N'"""
    engine: str = "auto"
    """'auto', or a strategy by name"""
    precision: Precision = "float32"
    """numbers that it computes in"""
    deterministic: bool = False
    """whether torch may use deterministic algorithms only: slower, and equal bit for bit on a GPU too"""
    tuning_trials: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="trials on validation classes that the options were chosen from; None: tuned by hand, or not known",
    )
    mistake: str = ""
    """the mistake of a published system that the run repeats on purpose; its scores are marked in every table"""
    init_sha256: str = ""
    """of the tensors of the model that training starts from; empty: from the network as its seed initializes it"""
    weights_sha256: str = ""
    """of the weights that the network is frozen with, or begins with; empty: they come from the seed or from init"""
    init: str = Field(
        "", description="record or folder of that model, as the user named it; it is no part of the spec's hash"
    )
    label: Label = Field(
        "",
        description="what its row is called in tables and figures, in place of the settings that differ; it is no "
        "part of the spec's hash",
    )

    def canonical_json(self) -> str:
        """Return JSON that is equal for specs that give the same numbers: sorted keys, no white space."""
        content = self.model_dump(
            mode="json", exclude={"training": {"checkpoint_seconds"}, "init": True, "label": True}
        )
        for part, names in ADDED_LATER.items():
            values, written = (getattr(self, part), content[part]) if part else (self, content)
            for name in names:
                if getattr(values, name) == type(values).model_fields[name].default:
                    del written[name]
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

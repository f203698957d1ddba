"""The request of a user: names and the values that differ from the defaults; planning fills in the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mamlbench.run_spec.bounds import MOST, MOST_SEED, MOST_SEEDS
from mamlbench.run_spec.corruption import CorruptionText
from mamlbench.run_spec.precision import Precision
from mamlbench.run_spec.protocol import TestMode, TestSampling
from mamlbench.run_spec.run_spec import Label, OnDivergence

SIZES = ("ways", "shots", "train_ways", "train_shots")
"""Settings that may be a range, ``2..20``."""


def split_ranges(values: Mapping[str, Any]) -> dict[str, Any]:
    """Split ranges of sizes: ``ways="2..20"`` becomes ``ways=20, least_ways=2``; what is no range stays.

    Raises ValueError if a range is empty.
    """
    split = dict(values)
    for name in SIZES:
        text = values.get(name)
        if not isinstance(text, str):
            continue
        least, dots, most = text.partition("..")
        if not (least.strip().isdecimal() and (not dots or most.strip().isdecimal())):
            raise ValueError(f"{name}: '{text}' is neither a number nor a range such as 2..20")
        numbers = int(least), int(most or least)
        if numbers[0] > numbers[1]:
            raise ValueError(f"{name}: the range {text} is empty: write {numbers[1]}..{numbers[0]}")
        split[name] = numbers[1]
        if numbers[0] < numbers[1]:
            split[f"least_{name}"] = numbers[0]
    return split


class RunRequest(BaseModel):
    """A request for one or more runs. None means: as the preset has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithms: tuple[str, ...] = Field(min_length=1)
    """registered names, one run each (times seeds)"""
    dataset: str = "glyphs"
    """a registered name"""
    backbone: str | None = None
    """a registered name; None: the preset's, or the one the data set suggests"""
    sampler: str | None = None
    """a registered name; None: the preset's, else fresh tasks"""
    preset: str = "quick"
    """name of the settings that are the defaults of this request"""
    init: Path | None = None
    """record or folder of a trained model to start from; None: the network as its seed initializes it"""
    iterations: int | None = Field(None, ge=0, le=MOST)
    """meta-iterations"""
    meta_batch_size: int | None = Field(None, ge=1, le=MOST)
    """tasks per meta-iteration"""
    seed: int = Field(0, ge=0, le=MOST_SEED)
    """first training seed"""
    seeds: int = Field(1, ge=1, le=MOST_SEEDS, description="number of training seeds: seed, seed + 1, ...")
    ways: int | None = Field(None, ge=1, le=MOST)
    """classes per episode; a range is written '2..20'"""
    least_ways: int | None = Field(None, ge=2, le=MOST)
    """fewest classes per episode; None: all episodes have 'ways'"""
    shots: int | None = Field(None, ge=1, le=MOST)
    """support examples per class; a range is written '1..20'"""
    least_shots: int | None = Field(None, ge=1, le=MOST)
    """fewest support examples per class; None: all episodes have 'shots'"""
    imbalance: float | None = Field(None, ge=0, lt=1, allow_inf_nan=False)
    """how unequal the numbers of support examples of the classes of a test episode are"""
    queries: int | None = Field(None, ge=1, le=MOST)
    """query examples per class, in validation and test"""
    test_episodes: int | None = Field(None, ge=2, le=MOST)
    """test episodes"""
    validation_episodes: int | None = Field(None, ge=2, le=MOST)
    """episodes of each validation"""
    test_sampling: TestSampling | None = None
    """whether test episodes are drawn independently or use each image at most once in a pass"""
    test_until: float | None = Field(None, gt=0, allow_inf_nan=False)
    """half-width, in the metric's own unit, for which enough test episodes are evaluated"""
    label_noise: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    """share of the support labels of each test episode that are wrong"""
    corrupt: CorruptionText | None = None
    """what is done to the images of test episodes, such as 'noise:0.3'"""
    episode_seed: int | None = Field(None, ge=0, le=MOST_SEED)
    """seed of validation and test episodes"""
    modes: tuple[TestMode, ...] | None = None
    """batch-norm modes to report, the first one selects"""
    metrics: tuple[str, ...] | None = None
    """metrics to report, by registered name, the first one selects the checkpoint"""
    keep_predictions: bool = False
    """keep the outputs for every test query beside the record"""
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="'inner_lr' is the algorithm's; 'dataset.rotations', 'backbone.width', 'sampler.tasks' the others'",
    )
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'"""
    engine: str = "auto"
    """'auto', or a strategy by name"""
    precision: Precision = "float32"
    """numbers that it computes in: float32; bf16 (autocast to bfloat16); float64"""
    deterministic: bool = False
    """whether torch may use deterministic algorithms only"""
    train_ways: int | None = Field(None, ge=1, le=MOST)
    """classes per training episode"""
    least_train_ways: int | None = Field(None, ge=2, le=MOST)
    """fewest classes per training episode"""
    least_train_shots: int | None = Field(None, ge=1, le=MOST)
    """fewest support examples per class in training"""
    train_shots: int | None = Field(None, ge=1, le=MOST)
    """support examples per class in training episodes"""
    train_queries: int | None = Field(None, ge=0, le=MOST)
    """query examples per class in training episodes"""
    validate_every: int | None = Field(None, ge=1, le=MOST)
    """iterations between validations"""
    checkpoint_every: int | None = Field(None, ge=0, le=MOST)
    """iterations between checkpoints"""
    checkpoint_seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    """most seconds between checkpoints"""
    target_score: float | None = Field(None, allow_inf_nan=False)
    """validation score whose first crossing is timed"""
    on_divergence: OnDivergence = "stop"
    """whether an update that is not finite ends the run, or is skipped and counted"""
    allow_leak: bool = False
    """run although splits of the data set share classes or images; scores are marked"""
    label: Label = ""
    """what the row is called in tables and figures"""

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        return split_ranges(values) if isinstance(values, Mapping) else values


class Folders(BaseModel):
    """Folders of results, of raw data and of prepared data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: Path = Path("results")
    """records are written here"""
    data: tuple[tuple[str, Path], ...] = ()
    """raw data is searched here, in this order: what named the folder (a flag, a variable, ...), and the folder"""
    cache: Path
    """cache of prepared data"""

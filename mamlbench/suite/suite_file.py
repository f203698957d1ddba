"""The format of a suite file: the settings of ``mamlbench run``, each with one value or a list of values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mamlbench.run_spec import CorruptionText, OnDivergence, Precision, TestMode, TestSampling
from mamlbench.run_spec.bounds import MOST, MOST_SEED, MOST_SEEDS
from mamlbench.run_spec.run_spec import Label

Value = TypeVar("Value")


class _OneOrMany:
    """Accept ``shots = 1`` for ``shots = [1]``, in files and in their JSON schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_as_tuple, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], {**many, "minItems": 1}]}


def _as_tuple(value: Any) -> Any:
    if value == []:
        raise PydanticCustomError("empty", "A list needs at least one value")
    return tuple(value) if isinstance(value, list) else (value,)


Axis = Annotated[tuple[Value, ...], _OneOrMany()]
Name = Annotated[str, Field(min_length=1)]
Natural = Annotated[int, Field(ge=0, le=MOST, strict=True)]
Positive = Annotated[int, Field(ge=1, le=MOST, strict=True)]
TwoOrMore = Annotated[int, Field(ge=2, le=MOST, strict=True)]


class _OrRange:
    """Accept a range such as ``"2..20"`` in place of a number, in files and in their JSON schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_range_or_number, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": _RANGE.pattern}]}


_RANGE = re.compile(r"^[0-9]+\.\.[0-9]+$")


def _range_or_number(value: Any, number: Callable[[Any], Any]) -> Any:
    return value if isinstance(value, str) and _RANGE.match(value) else number(value)


Size = Annotated[int, Field(ge=1, le=MOST, strict=True), _OrRange()]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED, strict=True)]


class CellConditions(BaseModel):
    """Conditions on cells: each setting must have one of the listed values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The order of fields is the order in which cells run: cells that are compared run one after the other.
    dataset: Axis[Name] | None = Field(None, description="data set")
    ways: Axis[Size] | None = Field(None, description="classes per episode: a number, or a range such as '2..20'")
    shots: Axis[Size] | None = Field(None, description="support examples per class: a number, or a range")
    queries: Axis[Positive] | None = Field(None, description="query examples per class at test")
    test_episodes: Axis[TwoOrMore] | None = Field(None, description="test episodes")
    validation_episodes: Axis[TwoOrMore] | None = Field(None, description="episodes at each validation")
    label_noise: Axis[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] | None = Field(
        None, description="share of the support labels of each test episode that are wrong"
    )
    corrupt: Axis[CorruptionText] | None = Field(
        None, description="what is done to the images of test episodes: noise:0.3, blur:1.5, contrast:0.5 or none"
    )
    imbalance: Axis[Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]] | None = Field(
        None, description="classes of a test episode have (1 + imbalance) to (1 - imbalance) times its shots"
    )
    episode_seed: Axis[Seed] | None = Field(None, description="seed of validation and test episodes")
    backbone: Axis[Name] | None = Field(None, description="network; by default, the data set's")
    algorithm: Axis[Name] | None = Field(None, description="algorithm")
    preset: Axis[Name] | None = Field(None, description="settings by name: quick, paper, ...")
    sampler: Axis[Name] | None = Field(None, description="which tasks to train on")
    init: Axis[Name] | None = Field(None, description="record or folder of a trained model to start from")
    iterations: Axis[Natural] | None = Field(None, description="meta-iterations; by default, the preset's")
    meta_batch_size: Axis[Positive] | None = Field(None, description="tasks per iteration; by default, the preset's")
    train_ways: Axis[Size] | None = Field(
        None, description="classes per training episode; by default, the preset's, or the ways"
    )
    train_shots: Axis[Size] | None = Field(None, description="support examples per class in training")
    train_queries: Axis[Natural] | None = Field(None, description="query examples per class in training")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the algorithm, and of other components as backbone.NAME, dataset.NAME, sampler.NAME; "
        "a list makes one cell per value",
    )
    device: Axis[Name] | None = Field(None, description="auto, cpu, cuda or cuda:N")
    engine: Axis[Name] | None = Field(None, description="how tasks are computed")
    precision: Axis[Precision] | None = Field(None, description="numbers to compute in: float32, bf16 or float64")
    seed: Axis[Seed] | None = Field(None, description="training seeds")


class SuiteSettings(CellConditions):
    """Settings of runs: if several have lists, there is one cell for each combination of their values."""

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS, strict=True)] | None = Field(
        None, description="number of training seeds, counted from 0; replaces 'seed'"
    )
    modes: Annotated[tuple[TestMode, ...], Field(min_length=1)] | None = Field(
        None, description="batch-norm modes to report (this list does not multiply cells)"
    )
    metrics: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
        None, description="metrics to report, the first selects the checkpoint (this list does not multiply cells)"
    )
    keep_predictions: bool | None = Field(None, description="keep the outputs for every test query beside each record")
    test_sampling: TestSampling | None = Field(
        None, description="independent, or without-replacement: each image at most once in a pass over the test split"
    )
    test_until: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="half-width of the interval, in the metric's own unit, that decides the number of episodes"
    )
    deterministic: bool | None = Field(
        None, description="deterministic algorithms only: equal bit for bit on a GPU too"
    )
    validate_every: Positive | None = Field(None, description="iterations between validations")
    checkpoint_every: Natural | None = Field(None, description="iterations between checkpoints")
    target_score: float | None = Field(
        None, allow_inf_nan=False, description="validation score whose first crossing is timed"
    )
    on_divergence: OnDivergence | None = Field(
        None, description="stop: an update that is not finite ends the run; skip: it is left out and counted"
    )
    allow_leak: bool | None = Field(
        None, description="run although splits of the data set share classes or images; scores are marked"
    )
    label: Label | None = Field(None, description="what the row is called in tables and figures")


class Override(SuiteSettings):
    """Settings that replace others in some of the cells. Later overrides take precedence."""

    when: CellConditions = Field(description="conditions on the cells that are changed")


class SuiteFile(SuiteSettings):
    """A suite: settings of all cells, additional cells, overrides and exclusions."""

    name: str | None = Field(None, description="name; by default, the file's name")
    summary: str = Field("", description="purpose")
    plugins: tuple[str, ...] = Field((), description="single-file plugins to load, relative to this file")
    include: tuple[SuiteSettings, ...] = Field((), description="additional cells: the settings above, changed by these")
    override: tuple[Override, ...] = Field((), description="settings of the cells that match conditions")
    exclude: tuple[CellConditions, ...] = Field((), description="conditions on cells to exclude")

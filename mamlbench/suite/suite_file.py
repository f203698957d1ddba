"""What a suite file may say: the settings of ``mamlbench run``, each with one value or with a list of them."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mamlbench.run_spec import Mode

T = TypeVar("T")


class _OneOrMany:
    """Let ``shots = 1`` stand for ``shots = [1]``, in files and in their JSON schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], {**many, "minItems": 1}]}


def _listed(value: Any) -> Any:
    if value == []:
        raise PydanticCustomError("empty", "A list needs at least one value")
    return tuple(value) if isinstance(value, list) else (value,)


Axis = Annotated[tuple[T, ...], _OneOrMany()]
Name = Annotated[str, Field(min_length=1)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Positive = Annotated[int, Field(ge=1, strict=True)]
Several = Annotated[int, Field(ge=2, strict=True)]


class Conditions(BaseModel):
    """Cells in which each of these settings has one of the values given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # In the order in which cells run: what is compared with each other runs one after the other.
    dataset: Axis[Name] | None = Field(None, description="data set")
    ways: Axis[Positive] | None = Field(None, description="classes per episode")
    shots: Axis[Positive] | None = Field(None, description="support examples per class")
    queries: Axis[Positive] | None = Field(None, description="query examples per class at test")
    test_episodes: Axis[Several] | None = Field(None, description="test episodes")
    validation_episodes: Axis[Several] | None = Field(None, description="episodes at each validation")
    episode_seed: Axis[Natural] | None = Field(None, description="seed of validation and test episodes")
    backbone: Axis[Name] | None = Field(None, description="network; where not given, the data set's")
    algorithm: Axis[Name] | None = Field(None, description="algorithm")
    preset: Axis[Name] | None = Field(None, description="settings by name: quick, paper, ...")
    sampler: Axis[Name] | None = Field(None, description="which tasks to train on")
    iterations: Axis[Natural] | None = Field(None, description="meta-iterations; where not given, the preset's")
    meta_batch_size: Axis[Positive] | None = Field(
        None, description="tasks per iteration; where not given, the preset's"
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the algorithm, and of other parts as backbone.NAME, dataset.NAME, sampler.NAME; "
        "a list has a cell for each of its values",
    )
    device: Axis[Name] | None = Field(None, description="auto, cpu, cuda or cuda:N")
    engine: Axis[Name] | None = Field(None, description="how tasks are computed")
    seed: Axis[Natural] | None = Field(None, description="training seeds")


class Settings(Conditions):
    """Settings of runs: where several have lists, there is a cell for each combination of their values."""

    seeds: Positive | None = Field(None, description="number of training seeds, counted from 0; instead of 'seed'")
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] | None = Field(
        None, description="batch-norm modes to report (one set for a cell: this list does not multiply)"
    )
    checkpoint_every: Natural | None = Field(None, description="iterations between checkpoints")
    target_score: float | None = Field(None, description="validation score whose first crossing is timed")


class Override(Settings):
    """Settings in the place of others, in some of the cells; later overrides win."""

    when: Conditions = Field(description="cells that are meant; without it, all of them")


class SuiteFile(Settings):
    """A suite: settings for all cells, further cells, exceptions."""

    name: str | None = Field(None, description="what to call it; where not given, the file's name")
    summary: str = Field("", description="what it is for")
    plugins: tuple[str, ...] = Field((), description="single-file plugins to load, from this file's folder on")
    include: tuple[Settings, ...] = Field((), description="further cells: the settings above with these instead")
    override: tuple[Override, ...] = Field((), description="other settings where conditions hold")
    exclude: tuple[Conditions, ...] = Field((), description="cells to leave out")

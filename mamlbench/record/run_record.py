"""The run record: one JSON document per run, with its schema version inside."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema

from mamlbench.record.environment import Environment
from mamlbench.record.episode_classes import EpisodeClasses
from mamlbench.record.record_part import RecordPart
from mamlbench.record.skipped import Skipped
from mamlbench.record.training_data import SeenTestData, TrainingData
from mamlbench.run_spec import Component, Precision, Protocol, RunSpec

SCHEMA_VERSION = 2

LARGEST = 2**63 - 1
"""Integers in a record lie within 64 bits."""

Status = Literal["finished", "interrupted", "diverged", "failed"]


class Interval(RecordPart):
    """A mean with its 95 % interval, in the metric's own unit (accuracies are fractions)."""

    mean: float
    """the estimate"""
    low: float
    """lower end"""
    high: float
    """upper end"""


def _pack(values: Sequence[float]) -> Sequence[float]:
    return array("d", values)


PackedFloats = Annotated[
    Sequence[float],
    GetPydanticSchema(
        lambda *_: core_schema.no_info_after_validator_function(
            _pack,
            core_schema.list_schema(core_schema.float_schema()),
            serialization=core_schema.plain_serializer_function_ser_schema(
                list, return_schema=core_schema.list_schema(core_schema.float_schema())
            ),
        )
    ),
]
"""Numbers of eight bytes each: ten thousand records of 600 episodes hold 24 million, 0.8 GB as a list's objects."""


class ModeResult(RecordPart):
    """One batch-norm mode: the trained and the untrained network on the same episodes."""

    score: Interval = Field(description="after adaptation, over episodes of these test classes")
    untrained: Interval | None = Field(None, description="the untrained network, given the same adaptation")
    gain: Interval | None = Field(None, description="paired difference per episode, positive if training helped")
    episode_scores: PackedFloats = Field(default_factory=lambda: _pack([]))
    """score of each test episode, in their order"""
    untrained_episode_scores: PackedFloats = Field(default_factory=lambda: _pack([]))
    """the same of the untrained network"""
    score_new_classes: Interval | None = Field(
        None, description="score for classes like those tested; None if episodes do not say which classes they share"
    )
    gain_new_classes: Interval | None = Field(None, description="gain for classes like those tested")


class MetricResult(RecordPart):
    """One metric of an evaluation."""

    unit: str
    """'%' if the score is a share, 0 to 1 here; else its unit, or nothing"""
    higher_is_better: bool
    """direction of the score"""
    modes: dict[str, ModeResult]
    """results by batch-norm mode"""
    score_after_step: list[float] = Field(description="mean score after each scored step, in the first mode")


class EpisodeFile(RecordPart):
    """The artifact that holds more of every test episode than its scores (``mamlbench.record.read_episodes``)."""

    file: str
    """relative to the record"""
    sha256: str
    """of the file, as 64 hexadecimal digits"""


class ImageUse(RecordPart):
    """How often the images of the test episodes were used, as support or query."""

    images: int
    """different images in any episode"""
    average: float
    """uses of such an image on average"""
    most: int
    """uses of the image that was used most"""


class Evaluation(RecordPart):
    """A test (or validation) of one model under one protocol.

    ``metric``, ``unit``, ``higher_is_better``, ``modes`` and ``score_after_step`` are those of the first metric.
    """

    split: str
    """'val' or 'test'"""
    protocol: Protocol
    """the conditions"""
    adaptation_steps: int
    """steps taken in each episode"""
    metrics: dict[str, MetricResult] = Field(min_length=1, description="by name; the first selected the checkpoint")
    steps_reported: list[int] = Field(description="the numbers of steps that score_after_step belongs to")
    algorithm_options: dict[str, Any] = Field(default_factory=dict, description="options changed for this evaluation")
    dataset: Component | None = Field(None, description="data set tested on; None if it is that of the run")
    resized_from: list[int] | None = Field(
        None,
        description="shape of images that were resized to what the network takes; None if they were not",
    )
    precision: Precision = "float32"
    """numbers that it was computed in"""
    classes: EpisodeClasses | None = None
    """which classes of the split each episode has; None if the sampler does not say"""
    episode_ways: list[int] = Field(default_factory=list, description="classes of each episode, if their number varies")
    episode_shots: list[int] = Field(
        default_factory=list, description="support examples per class of each episode, if their number varies"
    )
    image_use: ImageUse | None = None
    """how often images were used; None if the sampler does not say which they are"""
    leaks: list[str] = Field(default_factory=list, description="classes and images that splits of the data set share")
    seen: SeenTestData | None = Field(
        None,
        description="whether the network was trained on test classes or images; None in regression and old records",
    )
    constant_predictions: dict[str, int] = Field(
        default_factory=dict, description="by mode, episodes in which the prediction is the same for every query"
    )
    untrained_diverged: int = 0
    """episodes in which the untrained network's predictions were not finite; if there is one, it has no score"""

    @property
    def metric(self) -> str:
        """Name of the first metric, which selected the checkpoint."""
        return next(iter(self.metrics))

    @property
    def unit(self) -> str:
        """Unit of the first metric."""
        return self.metrics[self.metric].unit

    @property
    def higher_is_better(self) -> bool:
        """Direction of the first metric."""
        return self.metrics[self.metric].higher_is_better

    @property
    def modes(self) -> dict[str, ModeResult]:
        """Results of the first metric, by batch-norm mode."""
        return self.metrics[self.metric].modes

    @property
    def score_after_step(self) -> list[float]:
        """Mean score of the first metric after each of ``steps_reported``, in the first mode."""
        return self.metrics[self.metric].score_after_step


class Segment(RecordPart):
    """Time spent in one kind of work, in seconds."""

    wall: float = 0.0
    """wall clock"""
    device: float = 0.0
    """CPU seconds of the process, or seconds between CUDA events"""


class FeaturePass(RecordPart):
    """The one pass of a frozen encoder over all images of the data set."""

    images: int
    """images that passed through it, each rotation for itself"""
    width: int
    """numbers in a feature"""
    wall: float
    """seconds that the pass took, by the wall clock"""
    device: float
    """CPU seconds of its process, or GPU seconds"""
    cached: bool
    """whether an earlier run made it: then it is in no other time of this record; else 'data' has it"""


class Measurement(RecordPart):
    """Time and memory (docs/explanation.md, 'Measurement rules'). Seconds, bytes."""

    segments: dict[str, Segment] = Field(
        description="data, train, evaluate, checkpoint, other: exclusive of each other"
    )
    warmup: Segment = Field(
        description="building the network, trying engines, first meta-iteration; counted inside 'train' as well"
    )
    wall_seconds: float
    """of the whole run"""
    device_seconds: float
    """of the whole run"""
    device_clock: Literal["cpu", "cuda-events"]
    """what device seconds are"""
    peak_memory_bytes: int | None = Field(None, description="None if the process had run something else before")
    peak_memory_kind: Literal["process-rss", "cuda-allocator"] = "process-rss"
    """what peak memory is"""
    iterations: int
    """meta-iterations done"""
    iterations_per_second: float | None = Field(None, description="training segment, without warm-up")
    examples_seen: int
    """support and query examples in training"""
    seconds_to_target: float | None = None
    """wall seconds of the run until validation first reached the target score"""
    runs_at_once: int = Field(1, ge=1, description="runs that may have shared the machine; more make times longer")
    pieces: int = Field(1, ge=1, description="processes that computed the run one after the other; times add up")
    ranks: int = Field(
        1, ge=1, description="processes that computed the run together; device seconds are the sum of theirs"
    )
    features: FeaturePass | None = Field(None, description="pass of a frozen encoder; None if there is none")


class CurvePoint(RecordPart):
    """One point of the learning curve."""

    iteration: int
    """meta-iterations done"""
    wall_seconds: float
    """since the run began"""
    device_seconds: float
    """since the run began"""
    loss: float | None = None
    """mean training loss since the last point"""
    validation: dict[str, float] = Field(default_factory=dict)
    """mean validation scores by metric, the one that selects first; empty if nothing was validated at this point"""


class DataFacts(RecordPart):
    """What identifies the data of a run."""

    content_hash: str
    """over all splits"""
    split_hashes: dict[str, str]
    """by split"""
    split_sizes: dict[str, int] = Field(description="classes (or task families) per split")
    license: str
    """as the data set states it"""
    publishable: bool = Field(description="whether its images may be shown on a published page")
    subset: str | None = Field(None, description="how the data set is incomplete; None if it is complete")
    origin: str = Field("", description="its form on disk, e.g. 'zip archives'")
    notes: list[str] = Field(
        default_factory=list, description="what was guessed or left out when its files were read, a sentence each"
    )


class RunRecord(RecordPart):
    """One run of one spec."""

    schema_version: int = SCHEMA_VERSION
    """of this document"""
    name: str = Field("", description="file name of the record without its suffix")
    spec: RunSpec
    """what was run"""
    spec_hash: str
    """of the spec"""
    fingerprint: str = Field(description="code and environment")
    attempt: int = Field(ge=1)
    """1 for the first run of this spec with this fingerprint"""
    status: Status
    """how it ended"""
    reason: str = Field("", description="why it is not finished")
    started: str = Field(description="ISO 8601, UTC")
    environment: Environment
    """machine and software"""
    data: DataFacts | None = None
    """what identifies the data; None if the run ended before they were loaded"""
    parameters: int | None = Field(None, description="number of meta-learned scalars")
    gradient_order: int | None = None
    """2, 1 or None, as the method declares it"""
    engine: dict[str, Any] = Field(default_factory=dict, description="strategy chosen, and why")
    measurement: Measurement | None = None
    """time and memory"""
    curve: list[CurvePoint] = Field(default_factory=list)
    """the learning curve"""
    selected_iteration: int | None = Field(None, description="iteration of the checkpoint that validation selected")
    test: Evaluation | None = None
    """the test; None if the run ended before it"""
    model: str | None = Field(None, description="model artifact, relative to the record")
    training_data: TrainingData | None = Field(
        None, description="hashes of what the model was trained on; None if it was not images, and in old records"
    )
    checkpoint: str | None = Field(None, description="last checkpoint, relative to the record")
    episodes: EpisodeFile | None = Field(None, description="results by class, or predictions, of every test episode")
    listener_errors: list[str] = Field(default_factory=list)
    """what listeners and trackers raised"""
    skipped: Skipped | None = Field(None, description="what was left out because it was not finite; None if nothing")
    notices: list[str] = Field(default_factory=list)
    """what happened to the run that changes no number, such as a damaged checkpoint that was passed over"""
    files: dict[str, str] = Field(
        default_factory=dict,
        description="SHA-256 of each file in the run's folder, by name; checkpoints have theirs",
    )
    sha256: str = Field(
        "",
        exclude=True,
        description="of all other fields, as JSON with sorted keys; empty in early releases",
    )

    @property
    def was_lost(self) -> bool:
        """Whether the run's process ended without a word, killed perhaps: it measured nothing."""
        return self.status == "failed" and self.measurement is None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or 'without a name'}: {self.summary}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the table and the learning curve, for notebooks."""
        import mamlbench

        # of the report, which is built upon records
        html: str = getattr(mamlbench, "record_html")(self)  # noqa: B009
        return html

    @property
    def summary(self) -> str:
        """The run in one line: method, data set, status, first score."""
        spec, protocol = self.spec, self.spec.protocol
        parts = [f"{spec.algorithm.name} on {spec.dataset.name} {protocol.size_text}, seed {spec.seed}, {self.status}"]
        if self.test is not None and self.test.modes:
            mode, result = next(iter(self.test.modes.items()))
            half = (result.score.high - result.score.low) / 2
            scale, digits, unit = (100, 1, " %") if self.test.unit == "%" else (1, 3, f" {self.test.unit}".rstrip())
            mean = f"{scale * result.score.mean:.{digits}f} ± {scale * half:.{digits}f}{unit}"
            parts.append(f"{self.test.metric} {mean} ({mode})")
        return ", ".join(parts)

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        # JSON's integers are unlimited, and one of 400 digits overflows a float: readers of records need not handle it
        parts = (self, self.spec, self.spec.protocol, self.spec.training, self.environment, self.measurement, self.test)
        for part in (*parts, self.test and self.test.protocol):
            for name, value in vars(part).items() if part is not None else ():
                if type(value) is int and abs(value) > LARGEST:
                    raise ValueError(f"{name} is out of range")
        return self


def make_record(
    spec: RunSpec,
    environment: Environment,
    status: Status,
    *,
    name: str = "",
    attempt: int = 1,
    started: str | None = None,
    **results: Any,
) -> RunRecord:
    """Make the record of a run, with the hash of its spec and the fingerprint of its environment.

    Args:
        spec: what was run.
        environment: machine and software.
        status: how it ended.
        name: file name of the record without its suffix.
        attempt: 1 for the first run of this spec with this fingerprint.
        started: ISO 8601, UTC; None: now.
        **results: further fields of RunRecord.
    """
    return RunRecord(
        name=name,
        spec=spec,
        spec_hash=spec.hash,
        fingerprint=environment.fingerprint,
        attempt=attempt,
        status=status,
        started=started or utc_now(),
        environment=environment,
        **results,
    )


def utc_now() -> str:
    """Now, as records have it: ISO 8601, UTC, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")

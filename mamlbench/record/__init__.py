"""The JSON record of a run and its artifacts; torch is not needed to read them."""

from mamlbench.record.adaptation import Adaptation, HeldOut, LabeledImage
from mamlbench.record.environment import Environment, code_hash, cpu_name, current_environment
from mamlbench.record.episode_classes import EpisodeClasses, pack_classes
from mamlbench.record.episode_file import read_episodes
from mamlbench.record.published_number import PublishedNumber
from mamlbench.record.result_store import ResultStore, UnreadableRecordError, in_order, read_record
from mamlbench.record.run_record import (
    SCHEMA_VERSION,
    CurvePoint,
    DataFacts,
    EpisodeFile,
    Evaluation,
    FeaturePass,
    ImageUse,
    Interval,
    Measurement,
    MetricResult,
    ModeResult,
    RunRecord,
    Segment,
    Status,
    make_record,
    utc_now,
)
from mamlbench.record.skipped import Skipped, skipped_parts
from mamlbench.record.training_data import SeenTestData, TrainingData

__all__ = [
    "SCHEMA_VERSION",
    "Adaptation",
    "CurvePoint",
    "DataFacts",
    "Environment",
    "EpisodeClasses",
    "EpisodeFile",
    "Evaluation",
    "FeaturePass",
    "HeldOut",
    "ImageUse",
    "Interval",
    "LabeledImage",
    "Measurement",
    "MetricResult",
    "ModeResult",
    "PublishedNumber",
    "ResultStore",
    "RunRecord",
    "SeenTestData",
    "Segment",
    "Skipped",
    "Status",
    "TrainingData",
    "UnreadableRecordError",
    "code_hash",
    "cpu_name",
    "current_environment",
    "in_order",
    "make_record",
    "pack_classes",
    "read_episodes",
    "read_record",
    "skipped_parts",
    "utc_now",
]

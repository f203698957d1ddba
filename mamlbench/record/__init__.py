"""What a run leaves behind: one JSON record and its artefacts. No torch is needed to read them."""

from mamlbench.record.adaptation import Adaptation, HeldOut, OwnPicture
from mamlbench.record.environment import Environment, code_hash, cpu_name, current_environment
from mamlbench.record.record import (
    SCHEMA_VERSION,
    CurvePoint,
    DataFacts,
    Evaluation,
    Interval,
    Measurement,
    ModeResult,
    RunRecord,
    Segment,
    Status,
)
from mamlbench.record.store import ResultStore, UnreadableRecordError, read_record

__all__ = [
    "SCHEMA_VERSION",
    "Adaptation",
    "CurvePoint",
    "DataFacts",
    "Environment",
    "Evaluation",
    "HeldOut",
    "Interval",
    "Measurement",
    "ModeResult",
    "OwnPicture",
    "ResultStore",
    "RunRecord",
    "Segment",
    "Status",
    "UnreadableRecordError",
    "code_hash",
    "cpu_name",
    "current_environment",
    "read_record",
]

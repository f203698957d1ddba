"""What a run leaves behind: one JSON record and its artefacts. No torch is needed to read them."""

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
    "CurvePoint",
    "DataFacts",
    "Environment",
    "Evaluation",
    "Interval",
    "Measurement",
    "ModeResult",
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

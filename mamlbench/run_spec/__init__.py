"""What to run, as plain data without torch, files or registry, which can be sent to another process or machine."""

from mamlbench.run_spec.corruption import NO_CORRUPTION, Corruption, CorruptionText, read_corruption
from mamlbench.run_spec.options import Options
from mamlbench.run_spec.precision import PRECISIONS, Precision
from mamlbench.run_spec.preset import Preset, Setting, Tuned, choose_preset
from mamlbench.run_spec.protocol import (
    MODES,
    MOST_EPISODES_UNTIL,
    TEST_MODES,
    Mode,
    Protocol,
    TestMode,
    TestSampling,
    range_text,
)
from mamlbench.run_spec.request import Folders, RunRequest, split_ranges
from mamlbench.run_spec.run_spec import Component, OnDivergence, RunSpec, Training
from mamlbench.run_spec.validation import explain

__all__ = [
    "MODES",
    "MOST_EPISODES_UNTIL",
    "NO_CORRUPTION",
    "PRECISIONS",
    "TEST_MODES",
    "Component",
    "Corruption",
    "CorruptionText",
    "Folders",
    "Mode",
    "OnDivergence",
    "Options",
    "Precision",
    "Preset",
    "Protocol",
    "RunRequest",
    "RunSpec",
    "Setting",
    "TestMode",
    "TestSampling",
    "Training",
    "Tuned",
    "choose_preset",
    "explain",
    "range_text",
    "read_corruption",
    "split_ranges",
]

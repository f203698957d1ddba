"""Tests of a trained model on other data, stored beside it: one JSON file each, found by what the test depends on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from mamlbench.atomic_write import write_atomically
from mamlbench.record.file_hashes import results_written, seal_of
from mamlbench.record.record_part import RecordPart
from mamlbench.record.run_record import Evaluation, RunRecord
from mamlbench.run_spec import RunSpec
from mamlbench.run_spec.outside_text import escaped, loads_strictly, read_limited

MAX_BYTES = 1 << 28
"""Larger files are no evaluations; one of 10,000 test episodes in three modes has about one megabyte."""


class EvaluationKey(RecordPart):
    """Everything that the numbers of a test depend on."""

    model_sha256: str
    """of the file with the tensors"""
    spec: RunSpec
    """of the run, with the data set, protocol and options of the test"""
    data_hash: str
    """over all splits of the data set"""
    resized: bool
    """whether its images were resized to what the network takes"""
    code: str
    """hash of the harness and of the plugins"""
    torch: str
    """release"""

    @property
    def file_name(self) -> str:
        """Name of the file that holds the test."""
        text = json.dumps(json.loads(self.model_dump_json()), sort_keys=True, separators=(",", ":"))
        return f"evaluation-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


class StoredEvaluation(RecordPart):
    """A test of a trained model, as ``mamlbench evaluate --json`` prints it, with what it depends on."""

    key: EvaluationKey
    started: str
    """ISO 8601, UTC"""
    evaluation: Evaluation
    """the scores"""


class TransferCell(NamedTuple):
    """One model on the test classes of one data set with one number of shots.

    Args:
        record: the run that trained it.
        dataset: registered name of the data set that it is tested on.
        shots: support examples per class; None: as in the run.
        evaluation: the test; None if there is none.
        reason: why there is none, one sentence.
        file: where the test is stored.
        computed: whether it was computed now; otherwise it was read.
    """

    record: RunRecord
    dataset: str
    shots: int
    evaluation: Evaluation | None = None
    reason: str = ""
    file: Path | None = None
    computed: bool = False


def write_evaluation(folder: Path, stored: StoredEvaluation) -> Path:
    """Write a test into a run's folder, atomically and with its SHA-256 inside; return the file.

    Raises UnwrittenResultError if it cannot be written.
    """
    path = folder / stored.key.file_name
    content = json.loads(stored.model_dump_json())
    text = json.dumps({**content, "sha256": seal_of(content)}, indent=1)
    with results_written(path, "The test of a model", folder):
        write_atomically(path, text.encode())
    return path


def read_evaluation(folder: Path, key: EvaluationKey) -> tuple[StoredEvaluation | None, str]:
    """Read the test that depends on ``key``; None if there is none, and a sentence if its file cannot be used."""
    path = folder / key.file_name
    try:
        content = loads_strictly(read_limited(path, MAX_BYTES))
        if not isinstance(content, dict) or content.get("sha256") != seal_of(content):
            raise ValueError("its SHA-256 differs")
        stored = StoredEvaluation.model_validate({name: content[name] for name in content if name != "sha256"})
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        reason = escaped(str(error).splitlines()[0], 200)
        return None, f"'{path}' is not a test that can be read, and is computed again: {reason}."
    return (stored, "") if stored.key == key else (None, "")

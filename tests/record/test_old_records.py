"""Records of every schema version there has been, as released code wrote them, stay readable."""

import math
from pathlib import Path

import pytest

from mamlbench.record import SCHEMA_VERSION, RunRecord, read_record

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("schema-*.json"))


def test_every_schema_version_has_its_files():
    versions = {int(path.stem.split("-")[1]) for path in FILES}
    assert versions == set(range(1, SCHEMA_VERSION)), "a new version needs files of its own here"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_old_record_is_read_and_survives_being_written_again(path):
    record = read_record(path)
    assert repr(RunRecord.model_validate_json(record.model_dump_json())) == repr(record)  # repr: NaN is not NaN
    assert path.stem.endswith(record.status)


def test_what_the_first_version_said_is_understood():
    record = read_record(DATA / "schema-1-finished.json")
    assert (record.spec.algorithm.name, record.spec.protocol.ways, record.spec.seed) == ("fomaml", 3, 0)
    test = record.test
    assert len(test.modes["inductive"].episode_scores) == test.protocol.test_episodes == 20
    assert test.modes["transductive"].score.mean == pytest.approx(0.467, abs=1e-3)
    assert record.measurement.iterations == 12 and record.measurement.peak_memory_bytes > 10**8
    assert record.environment.packages["torch"] and record.data.split_hashes["test"]
    diverged = read_record(DATA / "schema-1-diverged.json")
    assert diverged.test is None and "not a finite number" in diverged.reason
    assert all(point.loss is None or not math.isfinite(point.loss) or point.loss >= 0 for point in diverged.curve)

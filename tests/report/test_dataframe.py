"""Loading records into pandas, and files that are not records."""

import pytest

import mamlbench
from mamlbench.errors import ConfigError
from mamlbench.report import read_records


def write(folder, record):
    path = folder / f"{record.name}.json"
    path.write_text(record.model_dump_json())
    return path


def test_one_row_per_record_and_mode(tmp_path, make_record):
    write(tmp_path, make_record("maml", score=0.93, seed=3))
    write(tmp_path, make_record("reptile", status="failed", reason="why"))
    frame = mamlbench.load_records(tmp_path)
    assert frame["algorithm"].tolist() == ["maml", "maml", "reptile"]
    assert frame["mode"].tolist()[:2] == ["transductive", "inductive"] and frame["mode"].isna().tolist()[2]
    maml = frame.iloc[0]
    assert (maml["score"], maml["seed"], maml["ways"]) == (0.93, 3, 5)
    assert maml["gain"] == pytest.approx(0.36) and maml["before"] == 0.2
    assert maml["option.inner_lr"] == 0.4 and maml["wall_seconds"] == 125.0 and maml["train_seconds"] == 100.0
    assert frame.iloc[2]["reason"] == "why"


def test_records_are_accepted_as_sources(make_record):
    assert len(mamlbench.load_records(make_record("maml"), make_record("fomaml"))) == 4


def test_a_file_that_is_not_a_record_is_reported_and_skipped(tmp_path, make_record):
    write(tmp_path, make_record("maml"))
    (tmp_path / "half.json").write_text('{"schema_version": 1, "spec": {')
    with pytest.warns(UserWarning, match=r"half\.json"):
        assert len(mamlbench.load_records(tmp_path)) == 2
    (tmp_path / "later.json").write_text('{"schema_version": 99}')
    loaded = read_records([tmp_path])
    assert [record.name for record in loaded.records] == ["maml-0"]
    assert len(loaded.problems) == 2 and "schema version 99" in " ".join(loaded.problems)


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_records([tmp_path / "nowhere"])


def test_a_record_named_twice_is_read_once(tmp_path, make_record):
    path = write(tmp_path, make_record("maml"))
    assert len(read_records([path, tmp_path]).records) == 1

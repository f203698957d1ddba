"""Checksums of a record and of its files: what has changed is found."""

import json

import pytest
from toy_record import tiny_record

from mamlbench.errors import ExitCode, UnwrittenResultError
from mamlbench.record import ResultStore, RunRecord, UnreadableRecordError, read_record
from mamlbench.record.file_hashes import (
    file_hash,
    hashes_of_files,
    record_text,
    results_written,
    run_folder,
    seal_of,
    sealed,
    seals_of,
    state_of_file,
)


@pytest.fixture
def path(tmp_path):
    return ResultStore(tmp_path).write("run", tiny_record())


def test_a_written_record_has_its_own_hash(path):
    recorded, actual = seals_of(path)
    assert recorded == actual and len(recorded) == 64
    record = read_record(path)
    assert record.sha256 == recorded and record == sealed(tiny_record()) == sealed(record)


def test_the_hash_is_of_the_values_not_of_their_layout(path):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(content.items(), reverse=True)), indent=4).replace("\n", "\r\n") + "\n")
    assert len(set(seals_of(path))) == 1
    content["attempt"] = 7
    path.write_text(json.dumps(content))
    recorded, actual = seals_of(path)
    assert recorded != actual
    assert seal_of({"a": 1, "b": [0.1]}) == seal_of({"b": [0.1], "a": 1, "sha256": "of something"})
    assert seal_of({"a": 1}) != seal_of({"a": 1.0}) != seal_of({"a": True})


def test_one_changed_bit_anywhere_is_found(path):
    """The file is no record any more, or its hash differs, or it has the same values as before."""
    content, values = path.read_bytes(), json.loads(path.read_text())
    harmless = 0
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            read_record(path)
            recorded, actual = seals_of(path)
        except (UnreadableRecordError, ValueError):
            continue
        if recorded == actual:
            harmless += 1
            assert json.loads(changed) == values
    assert harmless < len(content) / 100, "blanks between values"


def test_a_record_of_an_early_release_has_none(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(tiny_record().model_dump_json())
    assert seals_of(path)[0] == "" and read_record(path).sha256 == "" and read_record(path).files == {}
    assert record_text(tiny_record()) == tiny_record().model_dump_json(indent=1)


def test_the_hash_is_in_the_file_and_in_the_schema_but_not_among_the_values():
    record = sealed(tiny_record())
    assert "sha256" in RunRecord.model_json_schema()["properties"]
    assert "sha256" not in record.model_dump() and RunRecord.model_validate_json(record_text(record)) == record


@pytest.mark.parametrize("text", ["[1]", "{", '"a"', "NaN", '{"a": 1, "a": 2}'])
def test_what_is_no_json_object_has_no_hash(path, text):
    path.write_text(text)
    with pytest.raises(ValueError, match=r".+"):
        seals_of(path)


def test_files_that_change_until_the_end_and_hidden_ones_have_no_hash(tmp_path):
    for name in ("model.json", "episodes.npz", "checkpoint-1.json", "initial.safetensors", ".model.json.1.tmp"):
        (tmp_path / name).write_text(name)
    (tmp_path / "inner").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "model.json")
    assert hashes_of_files(tmp_path) == {name: file_hash(tmp_path / name) for name in ("episodes.npz", "model.json")}
    assert hashes_of_files(tmp_path / "missing") == {}


def test_a_file_is_as_recorded_changed_or_missing(tmp_path):
    path = tmp_path / "model.json"
    assert state_of_file(path, "") == "missing"
    path.write_text("model")
    expected = file_hash(path)
    assert state_of_file(path, expected) == "as recorded"
    path.write_text("mOdel")
    assert state_of_file(path, expected) == "changed"
    assert state_of_file(tmp_path, expected) == "unreadable (Is a directory)"


@pytest.mark.parametrize("name", ["run", "v1.2-run.x", "имя"])
def test_the_folder_of_a_run_is_found_also_if_its_record_was_renamed(tmp_path, name):
    record = tiny_record().model_copy(update={"name": name})
    (tmp_path / name).mkdir()
    assert run_folder(tmp_path / f"{name}.json", record) == tmp_path / name
    assert run_folder(tmp_path / "baseline.json", record) == tmp_path / name
    assert run_folder(tmp_path / "baseline.json", tiny_record()) == tmp_path / "baseline"


def test_what_cannot_be_written_is_one_sentence_with_the_reason(tmp_path):
    path = tmp_path / "model.json"
    with pytest.raises(UnwrittenResultError) as caught, results_written(path, "The model", tmp_path):
        tmp_path.mkdir()
    assert str(caught.value).startswith(f"The model could not be written to '{path}' (File exists): free some space")
    assert f"'mamlbench resume {tmp_path}' then goes on" in str(caught.value)
    assert caught.value.exit_code is ExitCode.RUN_FAILED

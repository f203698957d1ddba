import json
import os
from pathlib import Path

import pytest
from toy_record import make_spec, tiny_record

from mamlbench.errors import ConfigError
from mamlbench.record import (
    SCHEMA_VERSION,
    ResultStore,
    UnreadableRecordError,
    read_record,
)

FINGERPRINT = "abcdef0123456789"


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "results")


def test_a_stem_names_what_was_run(store):
    stem, attempt = store.reserve(make_spec(seed=3), FINGERPRINT)
    assert attempt == 1
    assert stem == f"glyphs-5w1s-maml-seed3-{make_spec(seed=3).hash[:8]}-abcdef-1"
    assert store.artifacts(stem).is_dir()


def test_a_stem_is_never_given_twice(store):
    spec = make_spec()
    stems = [store.reserve(spec, FINGERPRINT) for _ in range(3)]
    assert [attempt for _, attempt in stems] == [1, 2, 3]
    assert len({stem for stem, _ in stems}) == 3
    assert store.reserve(spec, "000000" + FINGERPRINT)[1] == 1, "another environment counts on its own"
    assert store.reserve(make_spec(seed=1), FINGERPRINT)[1] == 1


def test_a_record_whose_artifacts_are_gone_keeps_its_stem(store):
    stem, _ = store.reserve(make_spec(), FINGERPRINT)
    path = store.write(stem, tiny_record())
    store.artifacts(stem).rmdir()
    again, attempt = store.reserve(make_spec(), FINGERPRINT)
    assert (again != stem, attempt) == (True, 2)
    assert path.is_file()


@pytest.mark.parametrize("algorithm", ["a/b", "../up", "x y", "ünï", "a:b"])
def test_a_strange_name_stays_inside_the_folder(store, algorithm):
    stem, _ = store.reserve(make_spec(algorithm), FINGERPRINT)
    assert store.artifacts(stem).parent == store.folder
    assert stem.isascii()
    assert " " not in stem


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_written_is_a_configuration_error(tmp_path, below):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot be written .*--results-dir") as caught:
        ResultStore(tmp_path / below).reserve(make_spec(), FINGERPRINT)
    assert str(tmp_path / below) in str(caught.value)


def test_what_is_written_can_be_read(store):
    stem, _ = store.reserve(make_spec(), FINGERPRINT)
    path = store.write(stem, tiny_record())
    assert path == store.folder / f"{stem}.json"
    assert read_record(path) == tiny_record()
    assert list(store.records()) == [tiny_record()]
    assert [file.name for file in store.folder.iterdir() if file.is_file()] == [path.name], "no temporary file is left"


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "over an older one"])
def test_a_crash_while_writing_leaves_what_was_there(store, monkeypatch, call, before):
    stem, _ = store.reserve(make_spec(), FINGERPRINT)
    path = store.folder / f"{stem}.json"
    if before:
        store.write(stem, tiny_record())

    def crash(*arguments, **named):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, crash)
        with pytest.raises(OSError, match="No space left"):
            store.write(stem, tiny_record(attempt=7))
    assert path.exists() is before
    assert [file for file in store.folder.iterdir() if file.is_file()] == [path] * before
    if before:
        assert read_record(path).attempt == 1


def test_the_record_is_on_disk_before_it_has_its_name(store, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real, **k: (calls.append(name), real(*a, **k))[1])
    store.folder.mkdir()
    store.write("stem", tiny_record())
    assert calls == ["fsync", "replace"]


def test_records_are_found_in_order_and_artifacts_are_not_taken_for_them(store):
    stems = [store.reserve(make_spec(algorithm), FINGERPRINT)[0] for algorithm in ("v1.2", "maml", "reptile")]
    for stem in stems:
        store.write(stem, tiny_record())
        (store.artifacts(stem) / "curve.json").write_text("[]")
        (store.artifacts(stem) / "model.json").write_text("{}")
    running, _ = store.reserve(make_spec("running"), FINGERPRINT)
    (store.artifacts(running) / "model.json").write_text("{}")
    (store.artifacts(running) / "checkpoint.json").write_text("{}")
    (store.folder / ".hidden.json").write_text("half a")
    deeper = ResultStore(store.folder / "suite")
    nested, _ = deeper.reserve(make_spec(), FINGERPRINT)
    deeper.write(nested, tiny_record())
    expected = sorted([store.folder / f"{stem}.json" for stem in stems] + [deeper.folder / f"{nested}.json"])
    assert store.paths() == expected


def test_the_current_folder_may_be_the_results_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = ResultStore(Path())
    stem, _ = store.reserve(make_spec(), FINGERPRINT)
    store.write(stem, tiny_record())
    assert [path.name for path in store.paths()] == [f"{stem}.json"]


def test_a_folder_that_is_not_there_has_no_records(tmp_path):
    assert ResultStore(tmp_path / "nowhere").paths() == []


GOOD = tiny_record().model_dump_json()


def changed(**values):
    return json.dumps({**json.loads(GOOD), **values})


UNREADABLE = {
    "truncated": (GOOD[: len(GOOD) // 2], "the document: Invalid JSON"),
    "empty": ("", "the document: Invalid JSON"),
    "foreign": ('{"results": [1, 2]}', "schema_version: Field required"),
    "no object": ("[1, 2]", "the document"),
    "misspelled": (changed(acuracy=1), "acuracy: Extra inputs are not permitted"),
    "wrong type": (changed(attempt="many"), "attempt: Input should be a valid integer"),
    "from the future": (changed(schema_version=SCHEMA_VERSION + 1), f"schema version {SCHEMA_VERSION + 1}; this"),
    "from the future, with more in it": (
        changed(schema_version=99, energy_joules=3, spec={"new": "layout"}),
        "schema version 99; this release",
    ),
    "binary": (b"\x89PNG\r\n\xff\xfe", "the document: Invalid JSON"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_is_no_record_is_named_with_the_reason(tmp_path, case):
    content, reason = UNREADABLE[case]
    path = tmp_path / "run.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UnreadableRecordError) as caught:
        read_record(path)
    assert f"'{path}'" in str(caught.value)
    assert reason in str(caught.value)
    with pytest.raises(UnreadableRecordError):
        list(ResultStore(tmp_path).records())


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_path_that_cannot_be_read_is_named_too(tmp_path, kind):
    path = tmp_path / "run.json"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(UnreadableRecordError, match=r"run\.json' cannot be read"):
        read_record(path)

import json
import os
import threading
from pathlib import Path

import pytest
from toy_record import make_spec, tiny_record

from mamlbench.atomic_write import temporary_path
from mamlbench.errors import ConfigError, UnwrittenResultError
from mamlbench.record import (
    SCHEMA_VERSION,
    ResultStore,
    UnreadableRecordError,
    in_order,
    read_record,
)
from mamlbench.record.file_hashes import sealed
from mamlbench.run_spec import Component

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


NAMES = ["a" * 300, "名前" * 100, ".hidden", "..", ".", "con", "x" * 47 + ".json", "a\nb\0c", "\udcff", "MAML", "maml"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_data_set_or_method_gives_a_name_that_fits_everywhere(store, name):
    spec = make_spec(name, seed=2**63 - 1).model_copy(update={"dataset": Component(name=name)})
    stem, attempt = store.reserve(spec, FINGERPRINT)
    store.write(stem, tiny_record(make_spec()).model_copy(update={"name": stem}))
    assert stem.isascii() and len(stem) < 200 and not stem.startswith(".")
    assert [path.name for path in store.paths()] == [f"{stem}.json"] == [path.name for path in store.paths_of(spec)]
    assert store.paths(store.prefix(spec)) == store.paths()
    assert store.attempts(spec, FINGERPRINT) == [(stem, attempt)]
    assert len(temporary_path(store.record_path(stem)).name) <= 255


def test_long_names_that_begin_alike_stay_apart(store):
    stems = {store.reserve(make_spec("a" * 100 + end), FINGERPRINT)[0] for end in "xyz"}
    assert len(stems) == 3


def test_a_file_system_that_takes_upper_case_for_lower_case_gives_each_run_its_own(store, monkeypatch):
    """As macOS and Windows have it: a folder or record whose name differs in case alone is in the way."""
    taken, mkdir = set(), Path.mkdir

    def folded(path, *arguments, **named):
        if path.name.lower() in taken and not named.get("exist_ok"):
            raise FileExistsError(17, "File exists")
        taken.add(path.name.lower())
        mkdir(path, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", folded)
    monkeypatch.setattr("mamlbench.run_spec.RunSpec.hash", "0" * 64)
    assert [store.reserve(make_spec(name), FINGERPRINT)[1] for name in ("maml", "MAML", "Maml")] == [1, 2, 3]


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_written_is_a_configuration_error(tmp_path, below):
    (tmp_path / "file").write_text("in the way")
    store = ResultStore(tmp_path / below)
    for refuse in (lambda: store.reserve(make_spec(), FINGERPRINT), store.refuse_unwritable):
        with pytest.raises(ConfigError, match=r"cannot be written .*--results-dir") as caught:
            refuse()
        assert str(tmp_path / below) in str(caught.value)


@pytest.mark.parametrize("below", ["", "new", "new/deeper"])
def test_to_look_whether_a_folder_can_be_written_leaves_nothing(tmp_path, below):
    ResultStore(tmp_path / below).refuse_unwritable()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_before_the_run(tmp_path, monkeypatch):
    def full(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConfigError, match=rf"'{tmp_path}' cannot be written \(No space left on device\)"):
        ResultStore(tmp_path).refuse_unwritable()
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_removes_what_killed_ones_left(store):
    store.folder.mkdir()
    abandoned = store.folder / ".run.json.4711-abcdef01.tmp"
    abandoned.touch()
    os.utime(abandoned, (1, 1))
    written = temporary_path(store.folder / "other.json")
    written.touch()
    store.reserve(make_spec(), FINGERPRINT)
    assert written.exists() and not abandoned.exists()


def test_attempts_are_in_the_order_of_their_numbers_though_the_clock_went_back():
    def attempt(number, started, fingerprint="here", seed=0):
        record = tiny_record(make_spec(seed=seed), attempt=number)
        return record.model_copy(update={"started": started, "fingerprint": fingerprint})

    back = [attempt(1, "2026-03-01"), attempt(2, "2001-01-01"), attempt(3, "2026-02-01")]
    elsewhere = attempt(1, "2026-01-01", "elsewhere")
    other = attempt(1, "2026-02-15", seed=1)
    later = attempt(4, "2026-04-01")
    records = [elsewhere, other, *back, later]
    for shuffled in (records, records[::-1], records[3:] + records[:3]):
        assert in_order(shuffled) == records


def test_what_is_written_can_be_read(store):
    stem, _ = store.reserve(make_spec(), FINGERPRINT)
    path = store.write(stem, tiny_record())
    assert path == store.folder / f"{stem}.json"
    assert read_record(path) == sealed(tiny_record())
    assert list(store.records()) == [sealed(tiny_record())]
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
        sentence = (
            rf"^The run has finished\.\nIts record could not be written to '{path}' \(No space left on device\): free"
        )
        with pytest.raises(UnwrittenResultError, match=sentence):
            store.write(stem, tiny_record(attempt=7))
    assert path.exists() is before
    assert [file for file in store.folder.iterdir() if file.is_file()] == [path] * before
    if before:
        assert read_record(path).attempt == 1


def test_the_record_is_on_disk_before_it_has_its_name(store, monkeypatch):
    calls, here = [], threading.get_ident()

    def noted(name, real):
        def call(*arguments, **named):
            if threading.get_ident() == here:  # and not in a thread that another test left
                calls.append(name)
            return real(*arguments, **named)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    store.folder.mkdir()
    store.write("stem", tiny_record())
    assert calls == ["fsync", "replace", "fsync"], "the folder last, so that the name outlives a power failure"


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
    unfinished = ResultStore(store.folder / ".scheduler" / "unfinished")
    unfinished.write(unfinished.reserve(make_spec(), FINGERPRINT)[0], tiny_record())
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

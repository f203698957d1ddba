"""Folders of records become one: everything is there once, nothing is overwritten, whatever happens on the way."""

import errno
import multiprocessing
import os
import random
import signal
import time

import pytest
from toy_record import make_spec, tiny_record

from mamlbench import atomic_write
from mamlbench.errors import ConfigError
from mamlbench.record import EpisodeFile, ResultStore, read_record
from mamlbench.record.claims import ClaimWatcher, claim_path
from mamlbench.record.file_hashes import hashes_of_files, record_text, seals_of
from mamlbench.record.merge_folders import FolderMerge

FORK = multiprocessing.get_context("fork")


def write_run(folder, name="run-1", started="2026-01-01", status="finished", seal=True, **files):
    """Write a record with the files of its run; the content of a file is its name, unless it is given."""
    files = {file.replace("_", "."): content for file, content in files.items()} or {"model.json": "m", "e.npz": "e"}
    (folder / name).mkdir(parents=True)
    for file, content in files.items():
        (folder / name / file).write_text(content)
    paths = {"model": f"{name}/model.json", "episodes": EpisodeFile(file=f"{name}/e.npz", sha256="0" * 64)}
    about = {"name": name, "started": started, "status": status, **paths}
    record = tiny_record(make_spec()).model_copy(update={**about, "files": hashes_of_files(folder / name)})
    if seal:
        return ResultStore(folder).write(name, record)
    path = folder / f"{name}.json"
    path.write_text(record_text(record))
    return path


def merge(*folders, into, **options):
    """What became of each record, by its path from the parent of the folders."""
    done = FolderMerge(folders, into, **options).merge()
    return {str(one.source.relative_to(into.parent)): (one.state, one.target and one.target.stem) for one in done}


def content(folder):
    """Every file with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def a(tmp_path):
    return tmp_path / "a"


@pytest.fixture
def b(tmp_path):
    return tmp_path / "b"


@pytest.fixture
def into(tmp_path):
    return tmp_path / "all"


def test_all_files_of_all_folders_are_there_and_the_folders_stay_as_they_were(a, b, into):
    write_run(a, "one-1")
    write_run(a / "inner folder" / "имя", "two-1", model_json="x", curve_csv="1,2")
    write_run(b, "three-1")
    before = content(a) | content(b)
    assert merge(a, b, into=into) == {
        "a/inner folder/имя/two-1.json": ("copied", "two-1"),
        "a/one-1.json": ("copied", "one-1"),
        "b/three-1.json": ("copied", "three-1"),
    }
    assert content(into) == content(a) | content(b) == before
    assert {state for state, _ in merge(a, b, into=into).values()} == {"there already"}
    assert content(into) == before


def test_without_another_folder_the_first_gets_what_the_others_have(a, b):
    write_run(a, "one-1")
    write_run(b, "two-1")
    assert merge(a, b, into=a) == {"b/two-1.json": ("copied", "two-1")}
    assert {path.stem for path in ResultStore(a).paths()} == {"one-1", "two-1"}


def test_an_identical_record_is_there_once(a, b, into):
    for folder in (a, b):
        write_run(folder)
    assert [state for state, _ in merge(a, b, into=into).values()] == ["copied", "there already"]
    assert content(into) == content(a)


@pytest.mark.parametrize("seal", [True, False], ids=["", "early release"])
def test_two_records_with_one_name_are_both_there_and_the_second_is_the_next_attempt(a, b, into, seal):
    write_run(a, started="2026-01-01", seal=seal)
    path = write_run(b, started="2026-02-02", model_json="other", e_npz="e", seal=seal)
    for _ in range(2):
        states = merge(a, b, into=into)
        assert [target for _, target in states.values()] == ["run-1", "run-2"]
        assert len(content(into)) == 6
    first, second = (read_record(into / f"run-{number}.json") for number in (1, 2))
    assert (first.started, first.attempt, first.notices) == ("2026-01-01", 1, [])
    assert (second.started, second.attempt, second.name) == ("2026-02-02", 2, "run-2")
    assert (second.model, second.episodes.file) == ("run-2/model.json", "run-2/e.npz")
    assert second.notices == ["Its name was 'run-1' before 'mamlbench merge'."]
    assert (into / "run-2" / "model.json").read_text() == "other"
    recorded, actual = seals_of(into / "run-2.json")
    assert recorded == (actual if seal else "")
    same = {"name", "attempt", "model", "episodes", "notices"}
    assert second.model_dump(exclude=same) == read_record(path).model_dump(exclude=same)


def test_a_name_that_a_user_gave_gets_a_number(a, b, into):
    write_run(a, "baseline", started="2026-01-01")
    write_run(b, "baseline", started="2026-02-02")
    assert [target for _, target in merge(a, b, into=into).values()] == ["baseline", "baseline-2"]
    assert read_record(into / "baseline-2.json").attempt == 1


def test_a_record_that_a_user_renamed_gets_its_files_beside_it(a, b, into):
    """Its own folder has the name that it had before, which may be another run's in the other folder."""
    write_run(a, model_json="mine", e_npz="e").rename(a / "baseline.json")
    write_run(b)
    for _ in range(2):
        assert [target for _, target in merge(b, a, into=into).values()] == ["run-1", "baseline"]
        record = read_record(into / "baseline.json")
        assert (into / record.model).read_text() == "mine" and record.name == "baseline" and len(content(into)) == 6
        assert record.files == hashes_of_files(into / "baseline")


def test_a_file_in_the_way_is_not_touched(a, into):
    write_run(a)
    into.mkdir()
    (into / "run-1.json").write_text("half a record")
    (into / "run-2").mkdir()
    (into / "run-2" / "checkpoint-1.json").write_text("of a run that was killed")
    assert merge(a, into=into) == {"a/run-1.json": ("renamed", "run-3")}
    assert (into / "run-1.json").read_text() == "half a record"
    assert [path.name for path in (into / "run-2").iterdir()] == ["checkpoint-1.json"]


def test_a_name_that_differs_in_case_alone_is_another_on_a_file_system_that_knows_case(a, b, into):
    write_run(a, "Run-1")
    write_run(b, "run-1")
    targets = [target for _, target in merge(a, b, into=into).values()]
    has_case = not (into / "RUN-1.json").exists()
    assert targets == (["Run-1", "run-1"] if has_case else ["Run-1", "run-2"])


def damaged(path):
    """Ways in which a record, or a file of its run, can be damaged, and what is reported."""
    model = path.with_suffix("") / "model.json"
    text = path.read_text()
    return {
        "cut": (lambda: path.write_text(text[:100]), "is not a run record"),
        "changed": (lambda: path.write_text(text.replace("2026-01-01", "2026-01-02")), "was changed after it was wr"),
        "contradicts": (lambda: path.write_text(text.replace('"attempt": 1', '"attempt": 0')), "is not a run record"),
        "model": (lambda: model.write_text("x"), f"'{model}', a file of '{path}', is changed since"),
        "no file": (lambda: (model.unlink(), model.mkdir()), f"'{model}', a file of '{path}', is unreadable"),
    }


@pytest.mark.parametrize("kind", ["cut", "changed", "contradicts", "model", "no file"])
def test_a_damaged_record_is_named_and_left_out(a, into, kind):
    path, sound = write_run(a), write_run(a, "sound-1")
    damage, expected = damaged(path)[kind]
    damage()
    left, copied = FolderMerge([a], into).merge()
    assert left.state == "left out" and left.target is None and expected in left.reason and str(path) in left.reason
    assert copied.source == sound and copied.state == "copied"
    assert {path.stem for path in ResultStore(into).paths()} == {"sound-1"}


def test_a_record_without_its_files_is_copied_and_gets_them_from_another_folder(a, b, into):
    path = write_run(a)
    for file in path.with_suffix("").iterdir():
        file.unlink()
    path.with_suffix("").rmdir()
    write_run(b)
    (b / "run-1" / "checkpoint-1.json").write_text("may be written by a run")
    assert [state for state, _ in merge(a, b, into=into).values()] == ["copied", "there already"]
    assert set(content(into)) == {"run-1.json", "run-1/model.json", "run-1/e.npz"}


def test_a_run_that_is_being_worked_on_is_left_out_on_either_side(a, into):
    write_run(a, status="interrupted")
    into.mkdir()
    for place in (a / "run-1", into / "run-1"):
        with ClaimWatcher().take(place):
            (left,) = FolderMerge([a], into).merge()
            assert (left.state == "left out" and "merge again" in left.reason) or "being run by process" in left.reason
            assert not content(into).keys() - {path.name for path in into.glob(".*")}
    assert merge(a, into=into) == {"a/run-1.json": ("copied", "run-1")}
    assert not list(into.glob(".*")), "no claim is left"


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("side", ["source", "target"])
def test_whether_a_process_of_another_machine_lives_is_waited_for_once(a, into, monkeypatch, side, alive):
    write_run(a, "first-1", status="interrupted")
    write_run(a, "second-1", status="interrupted")
    into.mkdir()
    claims = [claim_path((a if side == "source" else into) / name, 1) for name in ("first-1", "second-1")]
    now, beat = [0.0], ['{"host": "far", "machine": "another", "pid": 1, "started": "0", "token": "00"}']

    def sleep(seconds):
        now[0] += seconds
        for claim in claims if alive else ():
            claim.write_text(f"{int(now[0]):020d}\n{beat[0]}")

    for claim in claims:
        claim.write_text(f"{0:020d}\n{beat[0]}")
    monkeypatch.setattr(time, "sleep", sleep)
    watcher = ClaimWatcher(clock=lambda: now[0])
    done = list(FolderMerge([a], into, watcher=watcher, clock=lambda: now[0]).merge())
    assert [one.state for one in done] == (["left out"] * 2 if alive else ["copied"] * 2)
    assert now[0] <= (5 if alive else watcher.stale_seconds + 5)


def test_checkpoints_of_an_interrupted_run_come_along_and_a_killed_run_is_named(a, into):
    write_run(a, status="interrupted", checkpoint_1_json="c")
    (a / "run-1" / "checkpoint-1.json").write_text("{}")
    (a / "run-1" / ".model.json.1.tmp").write_text("half")
    (a / "run-1" / "link").symlink_to(a)
    (a / "killed-1").mkdir()
    (a / "killed-1" / "checkpoint-2.json").write_text("{}")
    assert FolderMerge([a], into).unrecorded() == [a / "killed-1"]
    merge(a, into=into)
    assert "run-1/checkpoint-1.json" in content(into)
    assert not any("link" in name or ".tmp" in name or "killed" in name for name in content(into))


def test_a_dry_run_changes_nothing_and_says_what_a_real_one_does(a, b, into):
    write_run(a)
    write_run(b, started="2026-02-02")
    write_run(b, "other-1")
    planned = merge(a, b, into=into, dry_run=True)
    assert not into.exists() and list(planned.values()) == [
        ("copied", "run-1"),
        ("copied", "other-1"),
        ("renamed", "run-2"),
    ]
    assert merge(a, b, into=into) == planned
    again = merge(a, b, into=into, dry_run=True)
    assert {name: (state, target) for name, (state, target) in again.items()} == {
        name: ("there already", target) for name, (_, target) in planned.items()
    }


@pytest.mark.parametrize(("inner", "outer"), [("a/deeper", "a"), ("a", "a/deeper")])
def test_folders_inside_each_other_are_refused(tmp_path, inner, outer):
    write_run(tmp_path / "a" / "deeper")
    with pytest.raises(ConfigError, match=r"lies in '.*a': name folders beside each other"):
        FolderMerge([tmp_path / outer], tmp_path / inner)


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as caught:
        FolderMerge([tmp_path / "file", tmp_path / "missing"], tmp_path / "all")
    assert len(caught.value.problems) == 2 and "is no folder" in str(caught.value)


@pytest.mark.parametrize("call", ["link", "fsync", "write", "mkdir"])
def test_a_disk_that_becomes_full_leaves_whole_records_and_the_next_merge_the_rest(a, into, monkeypatch, call):
    for number in range(3):
        write_run(a, f"run{number}-1")
    real, made = getattr(os, call), []

    def full(*arguments, **named):
        made.append(arguments)
        if len(made) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(ConfigError, match=rf"'{into}' cannot be written \(No space left on device\)"):
            merge(a, into=into)
    for path in into.glob("*.json"):
        assert set(hashes_of_files(path.with_suffix(""))) == {"model.json", "e.npz"}
    assert not [path for path in into.rglob("*") if path.name.startswith(".") and ".claim-" not in path.name]
    merge(a, into=into)
    assert content(into) == content(a) and not list(into.glob(".*"))


def killed_merge(sources, into, number):
    """Merge in a process that is killed before a certain call that changes the folder; whether it was."""

    made = []

    def counted(real):
        def call(*arguments, **named):
            made.append(real)
            if len(made) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    def work():
        for name in ("mkdir", "open", "write", "fsync", "link", "unlink"):
            setattr(os, name, counted(getattr(os, name)))
        list(FolderMerge(sources, into).merge())
        os._exit(0)

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.slow
def test_a_merge_killed_at_any_call_is_finished_by_the_next(a, b, tmp_path):
    write_run(a)
    write_run(b, started="2026-02-02")
    number, kills = 1, 0
    while killed_merge([a, b], into := tmp_path / f"all {number}", number):
        kills += 1
        for path in into.glob("*.json"):
            record = read_record(path)
            assert len(set(seals_of(path))) == 1 and record.files == hashes_of_files(into / path.stem)
        merge(a, b, into=into)
        assert set(content(into)) == {f"run-{n}{file}" for n in (1, 2) for file in (".json", "/model.json", "/e.npz")}
        assert read_record(into / "run-2.json").started == "2026-02-02"
        number += 1
    assert kills > 20


@pytest.mark.parametrize(
    ("started", "became"), [("2026-01-01", ("there already", "run-1")), ("2026-02-02", ("renamed", "run-2"))]
)
def test_between_the_look_at_a_name_and_its_claim_another_merge_brings_a_record(a, into, monkeypatch, started, became):
    """The same one, or another."""
    write_run(a)
    write_run(b := a.with_name("b"), started=started)
    take = ClaimWatcher.take_or_raise

    def late(watcher, target):
        monkeypatch.setattr(ClaimWatcher, "take_or_raise", take)
        merge(a, into=into)
        return take(watcher, target)

    monkeypatch.setattr(ClaimWatcher, "take_or_raise", late)
    assert merge(b, into=into) == {"b/run-1.json": became}
    assert len(ResultStore(into).paths()) == int(became[1][-1])


def test_many_merges_at_once_bring_every_record_once(tmp_path, into):
    folders = [tmp_path / f"source {number}" for number in range(6)]
    for number, folder in enumerate(folders):
        write_run(folder, "same-1", started="2026-01-01")
        write_run(folder, "other-1", started=f"2026-02-0{number + 1}", model_json=str(number), e_npz="e")

    def work(seed):
        order = random.Random(seed).sample(folders, len(folders))
        while any(one.state == "left out" for one in FolderMerge(order, into).merge()):
            time.sleep(0.01)  # another merge held a name
        os._exit(0)

    processes = [FORK.Process(target=work, args=(seed,)) for seed in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    records = {path.stem: read_record(path) for path in ResultStore(into).paths()}
    assert sorted(records) == [*(f"other-{number}" for number in range(1, 7)), "same-1"]
    assert len({record.started for name, record in records.items() if name != "same-1"}) == 6
    for name, record in records.items():
        assert record.files == hashes_of_files(into / name)
    assert not list(into.glob(".*"))


def test_without_hard_links_it_works_as_well(a, into, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_run(a)
    assert merge(a, into=into) == {"a/run-1.json": ("copied", "run-1")} and content(into) == content(a)
    assert not atomic_write._unfinished

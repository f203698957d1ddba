"""``mamlbench merge``: what it prints, and its exit codes."""

import json

import pytest
from toy_record import tiny_record

from mamlbench.errors import ExitCode
from mamlbench.record import ResultStore


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project, folder, name="run-1", started="2026"):
    record = tiny_record().model_copy(update={"name": name, "started": started})
    (project / folder / name).mkdir(parents=True)
    (project / folder / name / "model.json").write_text(started)
    return ResultStore(project / folder).write(name, record)


def test_folders_become_one_and_what_was_renamed_or_left_out_is_named(project, call):
    write(project, "a")
    write(project, "a", "other-1")
    write(project, "b")
    write(project, "c", started="2027")
    (project / "c" / "broken.json").write_text("{")
    planned = call("merge", "a", "b", "c", "--into", "all", "--dry-run")
    assert not (project / "all").exists()
    code, out, err = call("merge", "a", "b", "c", "--into", "all")
    assert code == ExitCode.REGRESSION and not err
    assert out.splitlines() == [
        "Left out: 'c/broken.json' is not a run record: the document: Invalid JSON: Expecting property name enclosed "
        "in double quotes: line 1 column 2 (char 1).",
        "Renamed: 'c/run-1.json' is 'all/run-2.json': another record has the name 'run-1'.",
        "all: of 5 records 2 copied, 1 there already, 1 left out, 1 renamed.",
    ]
    assert planned == (code, out.replace("5 records", "5 records would be"), err)
    (project / "c" / "broken.json").unlink()
    code, out, _ = call("merge", "a", "b", "c", "--into", "all", "--json")
    assert code == ExitCode.OK and {row["state"] for row in json.loads(out)} == {"there already"}


def test_a_killed_run_is_named(project, call):
    write(project, "a")
    (project / "b" / "killed-1").mkdir(parents=True)
    (project / "b" / "killed-1" / "checkpoint-1.json").write_text("{}")
    write(project, "b", started="2027")
    code, out, err = call("merge", "a", "b")
    assert code == ExitCode.OK and "a: of 1 record 1 renamed." in out
    assert err.startswith("Not copied: 'b/killed-1' has no record yet; 'mamlbench resume b/killed-1' goes on with it")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a"], ExitCode.USAGE, "Name two folders or more, or one and --into."),
        (["a", "missing"], ExitCode.USAGE, "'missing' is no folder"),
        (["empty", "--into", "a"], ExitCode.NOTHING, "There is no record in empty."),
        (["a", "a"], ExitCode.NOTHING, "There is no record in another folder."),
        (["a", "--into", "a/inner"], ExitCode.USAGE, "'a/inner' lies in 'a'"),
        (["a", "--into", "file/all"], ExitCode.USAGE, "'file/all' cannot be written (Not a directory)"),
    ],
)
def test_what_cannot_be_merged_is_one_sentence(project, call, arguments, code, message):
    write(project, "a")
    (project / "empty").mkdir()
    (project / "file").touch()
    ended, _, err = call("merge", *arguments)
    assert ended == code and message in err

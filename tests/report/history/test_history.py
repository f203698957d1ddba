"""``mamlbench history``: records read from commits, followed by configuration, with the changes that were planted."""

import json
import re
import subprocess

import numpy as np
import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.report.history.cell_history import SeriesName, cell_histories
from mamlbench.report.history.committed_records import Commit, CommittedRecords

SCORE, SECONDS = SeriesName("accuracy", "transductive"), SeriesName("device_seconds", "")


def git(*arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def runs(make_record):
    """``runs(draw, skill=0.8, seconds=200)``: six seeds on shared episodes, drawn with a seed of its own."""

    def runs(draw, skill=0.8, seconds=200.0, algorithm="maml", **settings):
        random = np.random.default_rng(draw)
        difficulty = np.random.default_rng(0).normal(0, 0.08, 300)
        return [
            make_record(
                algorithm,
                seed=seed,
                episodes=np.clip(skill + difficulty + random.normal(0, 0.05, 300) + random.normal(0, 0.003), 0, 1),
                seconds=seconds * (1 + random.normal(0, 0.01)),
                **settings,
            )
            for seed in range(6)
        ]

    return runs


def history(*commits):
    named = (
        (Commit(f"{index:040d}", "2026-01-01", f"commit {index}"), records) for index, records in enumerate(commits)
    )
    return cell_histories(named)


def kinds(cell, name):
    return [point.changes[name].kind if name in point.changes else "" for point in cell.points]


def test_nothing_is_found_where_nothing_changed(runs):
    (cell,) = history(*(runs(draw) for draw in range(12)))
    assert len(cell.points) == 12 and cell.series[:1] == [SCORE]
    assert not [point.changes for point in cell.points if point.changes]


def test_steps_are_found_where_they_are(runs):
    skills, seconds = [0.8, 0.8, 0.74, 0.74, 0.8], [200, 200, 200, 260, 260]
    (cell,) = history(*(runs(draw, skills[draw], seconds[draw]) for draw in range(5)))
    assert kinds(cell, SCORE) == ["", "", "worse", "", "better"]
    assert kinds(cell, SECONDS) == ["", "", "", "worse", ""]
    assert cell.points[4].since[SCORE] == cell.points[2].commit
    assert cell.points[2].changes[SCORE].change == pytest.approx(-0.06, abs=0.01)


def test_a_drift_of_small_steps_is_found(runs):
    """No neighbors differ by what counts, the first and the last do."""
    (cell,) = history(*(runs(draw, 0.8 - 0.005 * draw) for draw in range(8)))
    assert "worse" in kinds(cell, SCORE)
    assert all(kind in ("", "worse") for kind in kinds(cell, SCORE))
    (cell,) = history(runs(0, 0.8), runs(1, 0.795))
    assert kinds(cell, SCORE) == ["", ""]


def test_times_of_two_machines_begin_a_new_part(runs):
    other = {"cpu": "Another CPU"}
    (cell,) = history(runs(0), runs(1, seconds=100, environment=other), runs(2, seconds=150, environment=other))
    assert kinds(cell, SECONDS) == ["", "not comparable", "worse"]
    assert kinds(cell, SCORE) == ["", "", ""], "scores do not depend on the machine"


def test_a_configuration_has_points_only_where_its_own_records_changed(runs):
    maml, reptile = runs(0), runs(1, algorithm="reptile")
    changed = runs(2, algorithm="reptile")
    cells = {cell.name.partition(",")[0]: cell for cell in history(maml, maml + reptile, maml + changed, maml)}
    assert [point.commit.subject for point in cells["maml"].points] == ["commit 0"]
    assert [point.commit.subject for point in cells["reptile"].points] == ["commit 1", "commit 2"]
    alone = history(reptile)[0]
    assert alone.identifier == cells["reptile"].identifier, "whatever other configurations there are"


def test_an_unfinished_run_has_no_values(make_record):
    (cell,) = history([make_record(status="failed", reason="no memory")])
    assert not cell.points[0].values and not cell.series


@pytest.fixture
def repository(tmp_path, monkeypatch, runs):
    """Three commits with records, the last one worse; and files that are no records."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "trunk")

    def commit(subject, records):
        for record in records:
            path = tmp_path / "results" / f"{record.name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(record.model_dump_json())
        git("add", ".")
        git("commit", "-q", "-m", subject)

    commit("first", runs(0) + runs(5, algorithm="reptile"))
    (tmp_path / "results" / "broken.json").write_text("{")
    (tmp_path / "results" / "link.json").symlink_to("/etc/passwd")
    (tmp_path / "results" / "maml-0").mkdir()
    (tmp_path / "results" / "maml-0" / "note.json").write_text("{}")
    commit("second \x1b[31mred", runs(1))
    (tmp_path / "code.py").write_text("")
    commit("no records", [])
    commit("third", runs(2, skill=0.7))
    return tmp_path


def test_each_version_of_a_file_is_read_once(repository, monkeypatch):
    from mamlbench.report.history import committed_records

    calls, read = [], committed_records.read_record
    monkeypatch.setattr(committed_records, "read_record", lambda path: calls.append(path) or read(path))
    committed = CommittedRecords.find(repository / "results")
    sizes = [len(records) for _, records in committed.read()]
    assert sizes == [12, 12, 12]
    assert len(calls) == 12 + 6 + 6 + 1, "the records of each commit that changed some, and the broken file"
    (problem,) = committed.problems
    assert re.match(r"'[0-9a-f]{8}:results/broken.json' is not a run record", problem)


def test_the_command_shows_a_table_json_and_a_chart(repository, call):
    code, out, err = call("history")
    assert code == ExitCode.OK and "Skipped: " in err
    assert "maml, omniglot 5-way 1-shot, quick" in out and "reptile" in out and "\x1b" not in out
    assert re.search(r"▼ \w{8} accuracy, transductive: worse \(-\d+\.\d pp \[.*\]\) since \w{8}: third", out)
    code, out, _ = call("history", "results", "--cell", "reptile", "--format", "json")
    (cell,) = json.loads(out)["cells"]
    assert code == ExitCode.OK and cell["name"].startswith("reptile") and len(cell["points"]) == 1
    code, out, _ = call("history", "--cell", cell["id"][:5], "--last", "1", "--output", "table.txt")
    assert code == ExitCode.OK and not out and "reptile" in (repository / "table.txt").read_text()
    code, out, _ = call("history", "--format", "svg")
    assert code == ExitCode.OK and out.startswith("<?xml") and "device seconds" in out
    assert call("history", "--format", "png", "--output", "chart.png")[0] == ExitCode.OK
    assert (repository / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        (["--format", "png"], ExitCode.USAGE, "is binary"),
        (["--revision", "nowhere"], ExitCode.USAGE, "not a git revision"),
        (["--revision", "--all"], ExitCode.USAGE, "not a git revision"),
        (["/"], ExitCode.USAGE, "'/' is not in a git repository"),
        (["other"], ExitCode.NOTHING, "has records in 'other'"),
        (["--cell", "nothing"], ExitCode.NOTHING, "configuration called 'nothing'"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(repository, call, arguments, expected, message):
    code, out, err = call("history", *arguments)
    assert (code, out) == (expected, "") and message in err and "Traceback" not in err


def test_outside_a_repository(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["history"]) == ExitCode.USAGE
    assert "'results' is not in a git repository" in capsys.readouterr().err

"""``mamlbench compare`` through the command line: sides, formats and exit codes."""

import json
import subprocess

import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode


def write(folder, records):
    folder.mkdir(parents=True, exist_ok=True)
    for index, record in enumerate(records):
        (folder / f"{record.name}-{index}.json").write_text(record.model_dump_json())
    return folder


def call(capsys, *arguments):
    code = main(["compare", *map(str, arguments)])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def base(folder, runs):
    return write(folder / "base", runs())


def test_equal_sides_pass(base, folder, runs, capsys):
    head = write(folder / "head", runs(draw=1, spread=0.001))
    code, out, _ = call(capsys, base, head, "--fail", "accuracy:-3pp")
    assert code == ExitCode.OK and "same (gated)" in out
    assert "Gate passed: 4 same (thresholds apply to 2 of 4 comparisons)." in out


def test_a_regression_is_code_one(base, folder, runs, capsys):
    head = write(folder / "head", runs(skill=0.6, draw=1))
    code, out, _ = call(capsys, base, head, "--fail", "accuracy:-1pp")
    assert code == ExitCode.REGRESSION and "Gate failed: 2 of 4 comparisons are worse." in out
    code, out, _ = call(capsys, base, head)
    assert code == ExitCode.OK and "No threshold is set, so nothing can fail: 2 worse, 2 same. Set one" in out


def test_thresholds_may_come_from_the_config_file(base, folder, runs, capsys):
    head = write(folder / "head", runs(skill=0.6, draw=1))
    (folder / "mamlbench.toml").write_text('[compare]\nfail = ["accuracy:-1pp"]\n')
    assert call(capsys, base, head)[0] == ExitCode.REGRESSION
    assert call(capsys, base, head, "--fail", "device_seconds:+50%")[0] == ExitCode.OK, "the option replaces them"
    (folder / "mamlbench.toml").write_text('[compare]\nfail = ["acuracy:-1pp"]\n')
    code, _, err = call(capsys, base, head)
    assert code == ExitCode.USAGE and "Did you mean 'accuracy'?" in err
    (folder / "mamlbench.toml").write_text("[compare]\nfial = []\n")
    code, _, err = call(capsys, base, head)
    assert code == ExitCode.USAGE and "compare.fial" in err


@pytest.mark.parametrize("content", ['{"schema_version": 1, "spec": {', '{"schema_version": 99}', "[" * 100_000, ""])
def test_a_file_that_is_not_a_record_is_reported_and_fails_the_gate(base, folder, runs, capsys, content):
    head = write(folder / "head", runs(draw=1, spread=0.001))
    (head / "half.json").write_text(content)
    code, _, err = call(capsys, base, head, "--fail", "accuracy:-3pp")
    assert code == ExitCode.NOTHING and "Skipped: " in err and "half.json" in err
    code, _, err = call(capsys, base, head)
    assert code == ExitCode.OK and "half.json" in err


def test_nothing_to_compare_is_code_five(base, folder, capsys):
    (folder / "empty").mkdir()
    for sides in ((base, "empty"), ("empty", base), ("empty", "empty")):
        code, out, _ = call(capsys, *sides)
        assert code == ExitCode.NOTHING and "BASE and HEAD have nothing that can be compared" in out


def test_a_side_that_does_not_exist_is_a_usage_error(base, capsys):
    code, _, err = call(capsys, "nowhere", base)
    assert code == ExitCode.USAGE and "'nowhere' is neither a file, nor a folder, nor a git revision" in err
    code, _, err = call(capsys, base, base, "--fail", "speed:1%")
    assert code == ExitCode.USAGE and "no record reports the metric 'speed'" in err


def test_the_results_of_a_revision(folder, runs, capsys):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments], check=True, capture_output=True
        )

    git("init", "-q", "-b", "trunk")
    write(folder / "results" / "reference", runs())
    (folder / "results" / "broken.json").write_text("{")
    (folder / "results" / "link.json").symlink_to("/etc/passwd")
    git("add", ".")
    git("commit", "-q", "-m", "reference")
    (folder / "results" / "broken.json").unlink()
    (folder / "results" / "link.json").unlink()
    write(folder / "results" / "reference", runs(skill=0.6, draw=1))
    code, out, err = call(capsys, "trunk", "results", "--fail", "accuracy:-1pp")
    assert code == ExitCode.REGRESSION and "worse" in out
    assert "'trunk:results/broken.json' is not a run record" in err and "link.json" not in err
    code, _, err = call(capsys, "trunk~5", "results")
    assert code == ExitCode.USAGE and "nor a git revision of this repository" in err
    (folder / "mamlbench.toml").write_text('results_dir = "elsewhere"\n')
    code, _, err = call(capsys, "trunk", "results")
    assert code == ExitCode.USAGE and "has no folder 'elsewhere'" in err


def test_json_and_markdown(base, folder, runs, capsys):
    head = write(folder / "head", runs("maml", skill=0.6, draw=1))
    write(head, runs("<b>|`x`", draw=1))
    code, out, err = call(capsys, base, head, "--fail", "accuracy:-1pp", "--format", "json")
    result = json.loads(out)
    assert result["exit_code"] == code == ExitCode.REGRESSION and "comparisons are worse" in err
    (worse,) = [entry for entry in result["verdicts"] if entry["mode"] == "inductive" and entry["kind"] == "worse"]
    assert worse["head"] == pytest.approx(0.6, abs=0.05) and worse["low"] < worse["change"] < worse["high"]
    assert worse["change"] < worse["minimum_detectable_effect"] < 0 and worse["effect_size"] < -1
    code, _, err = call(capsys, base, head, "--format", "md", "--output", "summary.md")
    text = (folder / "summary.md").read_text()
    rows = [line.replace(r"\|", "") for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1 and "| **worse** |" in text and "<b>" not in text
    assert r"\<b\>\|\`x\`" in text and "Written: summary.md" in err


def test_the_formats_of_benchmark_trackers(base, folder, runs, capsys):
    head = write(folder / "head", runs(draw=1))
    _, out, _ = call(capsys, base, head, "--format", "benchmark")
    smaller = json.loads(out)
    _, out, _ = call(capsys, base, head, "--format", "benchmark-bigger")
    bigger = json.loads(out)
    for entry in (*smaller, *bigger):
        assert {"name", "unit", "value"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
        assert isinstance(entry["value"], float) and all(isinstance(entry[key], str) for key in set(entry) - {"value"})
    names = [entry["name"].rpartition(": ")[2] for entry in smaller]
    assert names == ["accuracy, transductive, error", "accuracy, inductive, error", "device_seconds", "peak_memory"]
    assert [entry["name"].rpartition(": ")[2] for entry in bigger] == ["accuracy, transductive", "accuracy, inductive"]
    assert smaller[0]["value"] == pytest.approx(100 - bigger[0]["value"]) and smaller[3]["value"] == 512
    assert smaller[0]["unit"] == "%" and smaller[2]["unit"] == "s" and smaller[3]["unit"] == "MiB"


def test_an_output_that_cannot_be_written_is_a_usage_error(base, capsys):
    code, _, err = call(capsys, base, base, "--format", "json", "--output", "no/where.json")
    assert code == ExitCode.USAGE and "Choose another with --output" in err

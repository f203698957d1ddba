"""Every command through the real command line, on a data set of random patterns."""

import csv
import io
import json
import os
import signal
import subprocess
import sys

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_record

TINY = [
    "--dataset",
    "toy",
    "--ways",
    "3",
    "--queries",
    "2",
    "--test-episodes",
    "40",
    "--validation-episodes",
    "20",
    "--meta-batch-size",
    "4",
    "--iterations",
    "12",
    "-o",
    "backbone.width=8",
]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, toy_plugin):
    """A folder with a mamlbench.toml that names the toy plugin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}"]\n')
    return tmp_path


def test_a_run_prints_its_table_and_is_reported_evaluated_and_loaded_again(project, call):
    code, out, err = call("run", "--algo", "maml", *TINY)
    assert code == ExitCode.OK
    assert "toy, 3-way 1-shot: accuracy" in out and "maml" in out and "transductive" in out and "95 % interval" in out
    assert "step 12/12, validation" in err and "Record: results/toy-3w1s-maml-seed0" in err
    (path,) = (project / "results").glob("*.json")
    record = read_record(path)
    assert record.status == "finished" and record.spec.protocol.ways == 3

    code, out, _ = call("report")
    assert code == ExitCode.OK and "toy, 3-way 1-shot: accuracy" in out

    code, out, _ = call("evaluate", str(path), "--queries", "5", "--steps", "2", "--json")
    tested = json.loads(out)
    assert code == ExitCode.OK
    assert (tested["protocol"]["queries"], tested["adaptation_steps"]) == (5, 2)
    assert tested["protocol"]["shots"] == 1 and len(tested["metrics"]["accuracy"]["score_after_step"]) == 3

    code, out, _ = call("evaluate", str(path), "--mode", "inductive")
    assert code == ExitCode.OK and "inductive" in out and "transductive" not in out


def test_a_precision_is_recorded_and_shown_and_can_be_changed_for_a_test(project, call):
    code, out, _ = call("run", "--algo", "fomaml", *TINY, "--precision", "bf16")
    assert code == ExitCode.OK and "fomaml, bf16" in out
    (path,) = (project / "results").glob("*.json")
    record = read_record(path)
    assert record.spec.precision == record.test.precision == "bf16"
    assert record.environment.kernels == "torch (bf16)"
    _, out, _ = call("evaluate", str(path), "--json")
    again = json.loads(out)
    _, out, _ = call("evaluate", str(path), "--precision", "float64", "--json")
    exact = json.loads(out)
    code, out, _ = call("evaluate", str(path), "--precision", "float64")
    assert (again["precision"], exact["precision"]) == ("bf16", "float64") and "in float64" in out
    scores = [test["metrics"]["accuracy"]["modes"]["transductive"]["score"]["mean"] for test in (again, exact)]
    assert scores[0] == record.test.modes["transductive"].score.mean
    assert scores == pytest.approx(scores[:1] * 2, abs=0.05)
    code, _, err = call("run", "--algo", "maml", *TINY, "--precision", "float16")
    assert code == ExitCode.USAGE and "float16" in err


def test_the_same_test_gives_the_same_numbers(project, call):
    call("run", "--algo", "fomaml", *TINY)
    (path,) = (project / "results").glob("*.json")
    _, out, _ = call("evaluate", str(path), "--json")
    tested, recorded = json.loads(out)["metrics"]["accuracy"], read_record(path).test
    assert tested["modes"]["inductive"]["episode_scores"] == list(recorded.modes["inductive"].episode_scores)
    assert tested["modes"]["transductive"]["untrained"]["mean"] == recorded.modes["transductive"].untrained.mean


@pytest.mark.slow
def test_several_algorithms_and_seeds_end_in_one_table(project, call):
    fewer = ["--test-episodes", "10", "--validation-episodes", "5"]
    code, out, err = call("run", "--algo", "maml", "--algo", "reptile", "--seeds", "2", "-q", *TINY, *fewer)
    assert code == ExitCode.OK and "accuracy, % (2 queries per class, 10 test episodes)" in out
    assert out.count("3-way 1-shot") == 1 and "maml" in out and "reptile" in out
    assert "4 records in results/" in err
    records = [read_record(path) for path in sorted((project / "results").glob("*.json"))]
    assert [(r.spec.algorithm.name, r.spec.seed) for r in records] == [
        ("maml", 0),
        ("maml", 1),
        ("reptile", 0),
        ("reptile", 1),
    ]
    assert all(r.measurement.peak_memory_bytes for r in records)


def test_json_of_a_run_is_its_record(project, call):
    code, out, _ = call("run", "--algo", "pretrain", "-q", "--json", *TINY)
    (path,) = (project / "results").glob("*.json")
    assert code == ExitCode.OK and json.loads(out) == [json.loads(path.read_text())]


@pytest.mark.parametrize(
    ("algorithm", "code", "status", "message"),
    [
        ("explodes", ExitCode.RUN_FAILED, "diverged", "try a smaller outer_lr (now 0.00932), or a clip"),
        ("raises", ExitCode.RUN_FAILED, "failed", "ValueError: the plugin's own mistake"),
        ("interrupts", ExitCode.INTERRUPTED, "interrupted", "at iteration"),
    ],
)
def test_a_run_that_ends_badly_is_recorded_and_shown(project, call, algorithm, code, status, message):  # noqa: PLR0917
    exit_code, out, err = call("run", "--algo", algorithm, *TINY, "--iterations", "40")
    assert exit_code == code and message in err and status in out
    (path,) = (project / "results").glob("*.json")
    record = read_record(path)
    assert record.status == status and message in record.reason
    assert (project / "results" / record.checkpoint).is_file()
    exit_code, out, _ = call("report")
    assert exit_code == ExitCode.OK and status in out


COMMAND = """
import signal, sys
from mamlbench.cli.main import entry
# a process that a shell started in the background ignores Ctrl-C, and so do its children unless they change that
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[1:] = {}
entry()
"""


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ["1", "2"], ids=["in this process", "in a worker that never stops talking"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_process_leaves_its_record(project, fork, seeds, number):
    method = [
        "--algo",
        "reptile",
        "-o",
        "test_steps=1",
        "--engine",
        "vmap",
    ]  # begins at once: it imports no torch.optim
    arguments = ["run", *TINY, *method, "--iterations", "100000", "--seeds", seeds]
    with fork(COMMAND.format(arguments)) as command:
        while "step" not in command.err.readline():
            assert command.process.is_alive()
        os.kill(command.process.pid, number)
        done = command.end()
    assert done.returncode == ExitCode.INTERRUPTED and "interrupted" in done.stdout
    (path,) = (project / "results").glob("*.json")
    record = read_record(path)
    assert record.status == "interrupted" and 0 < record.measurement.iterations < 100_000


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--algo", "mmal"], ["Unknown algorithm 'mmal'. Did you mean 'maml'?"]),
        (["--algo", "maml", "--dataset", "glyphss"], ["Unknown dataset 'glyphss'. Did you mean 'glyphs'?"]),
        (
            ["--algo", "maml", "-o", "inner_rl=1", "-o", "train_steps=-1"],
            ["no option 'inner_rl'. Did you mean 'inner_lr'?", "'train_steps'"],
        ),
        (["--algo", "maml", "-o", "bakbone.width=3"], ["no part 'bakbone'. Did you mean 'backbone'?"]),
        (["--algo", "maml", "--ways", "99"], ["val split: 99 ways were requested, and the split has 15 classes"]),
        (["--algo", "maml", "--shots", "11", "--queries", "2"], ["13 examples per class were requested"]),
        (["--algo", "maml", "--device", "cuda:9"], ["use --device cpu"]),
    ],
)
def test_what_cannot_be_run_is_explained_before_anything_is_run(project, call, arguments, messages):
    code, out, err = call("run", *TINY, *arguments)
    assert code == ExitCode.USAGE and out == ""
    assert all(message in err for message in messages)
    assert not list(project.glob("results/*.json"))


def test_a_misspelling_is_reported_before_torch_is_imported(tmp_path_factory):
    code = "from mamlbench.cli.main import main; import sys; main(sys.argv[1:]); print('torch' in sys.modules)"
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # the project's plugin imports torch
    for misspelling in (["--algo", "mmal"], ["--algo", "maml", "--dataset", "omniglott"]):
        command = [sys.executable, "-c", code, "run", *misspelling]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=elsewhere)
        assert "Did you mean" in done.stderr and done.stdout.strip() == "False"


def test_results_that_cannot_be_written(project, call):
    (project / "taken").write_text("a file, not a folder")
    code, _, err = call("run", "--algo", "maml", *TINY, "--results-dir", "taken")
    assert code == ExitCode.USAGE and "choose another with --results-dir" in err


def test_missing_data_names_the_folders_that_were_searched(project, call, monkeypatch):
    monkeypatch.setattr(
        "mamlbench_plugins.datasets.omniglot.download", lambda *_: (_ for _ in ()).throw(OSError("no network"))
    )
    monkeypatch.setenv("MAMLBENCH_DATA", "/elsewhere")
    (project / "empty").mkdir()
    code, _, err = call("run", "--algo", "maml", "--dataset", "omniglot", "--data-dir", "empty")
    assert code == ExitCode.USAGE
    assert "'empty' (--data-dir)" in err and "'/elsewhere' (MAMLBENCH_DATA)" in err and "--dataset glyphs" in err


@pytest.mark.parametrize("path", ["nowhere", "mamlbench.toml", "empty"])
def test_evaluate_needs_a_model(project, call, path):
    (project / "empty").mkdir()
    code, _, err = call("evaluate", path)
    assert code == ExitCode.USAGE and path in err


def test_report_formats_and_outputs(project, call):
    call("run", "--algo", "maml", "-q", *TINY)
    _, out, _ = call("report", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    (record,) = (read_record(path) for path in (project / "results").glob("*.json"))
    assert float(row["transductive"]) == record.test.modes["transductive"].score.mean
    code, out, err = call("report", "--format", "md", "--output", "table.md", "--columns", "score,seeds")
    assert (code, out) == (ExitCode.OK, "") and "Written: table.md" in err
    assert "| algorithm | transductive | inductive | seeds |" in (project / "table.md").read_text()
    code, _, err = call("report", "--columns", "seed")
    assert code == ExitCode.USAGE and "Did you mean 'seeds'?" in err
    code, _, err = call("report", "--format", "md", "--output", "no/such/folder.md")
    assert code == ExitCode.USAGE and "Choose another with --output" in err


def test_report_skips_files_that_are_no_records(project, call):
    code, _, err = call("report")
    assert code == ExitCode.NOTHING and "There is no record" in err
    (project / "results").mkdir()
    (project / "results" / "other.json").write_text('{"a": 1}')
    code, _, err = call("report")
    assert code == ExitCode.NOTHING and "Skipped" in err and "other.json" in err


def test_info_shows_options_presets_and_license(call):
    _, out, _ = call("info", "maml")
    assert "inner_lr" in out and "number > 0" in out and "preset" in out and "update θ" in out
    _, out, _ = call("info", "omniglot")
    assert "MIT" in out and "dataset.rotations" in out
    _, out, _ = call("info", "conv4-strided", "--json")
    (conv4,) = json.loads(out)
    (width,) = [option for option in conv4["options"] if option["name"] == "width"]
    assert width == {"name": "width", "type": "integer >= 1", "default": 64, "description": width["description"]}


def test_env_names_the_machine_and_the_folders(project, call, monkeypatch):
    monkeypatch.setenv("MAMLBENCH_DATA", "/elsewhere")
    _, out, _ = call("env", "--json")
    environment = json.loads(out)
    assert environment["cache"] == str(project / "cache") and environment["data"] == ["/elsewhere (MAMLBENCH_DATA)"]
    assert environment["packages"]["torch"] and environment["cores"] >= 1
    assert "in hardware" in environment["bf16"]
    code, out, _ = call("env")
    assert code == ExitCode.OK and "torch" in out

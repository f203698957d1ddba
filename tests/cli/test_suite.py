"""``mamlbench suite`` and ``mamlbench schema`` through the real command line."""

import json

import pytest

from mamlbench.errors import ExitCode
from mamlbench.record import read_record

SUITE = """
algorithm = ["fomaml", "explodes", "interrupts", "raises"]
dataset = "toy"
ways = 3
queries = 2
test_episodes = 10
validation_episodes = 10
meta_batch_size = 2
iterations = 14
plugins = ["toy.py"]
options.backbone.width = 4
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, toy_plugin):
    """A folder with a suite and, beside it, the plugin that it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "toy.py").write_text(toy_plugin.read_text())
    (tmp_path / "suite.toml").write_text(SUITE)
    return tmp_path


def states(call, *arguments):
    code, out, _ = call("suite", "suite.toml", "--dry-run", "--json", "-q", *arguments)
    assert code == ExitCode.OK
    return [(cell["spec"]["algorithm"]["name"], cell["state"], cell["reason"]) for cell in json.loads(out)["cells"]]


def test_a_suite_is_planned_run_interrupted_and_resumed(project, call):
    code, out, err = call("suite", "suite.toml", "--dry-run")
    assert (code, out) == (ExitCode.OK, "") and not (project / "results").exists()
    assert "Suite suite: 4 cells (4 to do)" in err and "Time: unknown" in err

    code, out, err = call("suite", "suite.toml")
    assert code == ExitCode.INTERRUPTED
    assert "toy, 3-way 1-shot: accuracy" in out and "fomaml" in out and "diverged" in out and "interrupted" in out
    assert "1/4 fomaml on toy, seed 0: finished in" in err and "2/4 explodes on toy, seed 0: failed" in err
    assert "1 more run(s) were not started." in err and "Run the same command again to resume" in err
    records = {r.spec.algorithm.name: r for r in map(read_record, (project / "results").glob("*.json"))}
    assert set(records) == {"fomaml", "explodes", "interrupts"}
    assert records["fomaml"].status == "finished" and records["fomaml"].measurement.peak_memory_bytes > 0

    before = states(call)
    assert [state for _, state, _ in before] == ["finished", "failed", "to do", "to do"]
    assert before[2][2] == "was interrupted"
    assert [state for _, state, _ in states(call, "--retry-failed")] == ["finished", "to do", "to do", "to do"]
    _, _, err = call("suite", "suite.toml", "--dry-run", "--set", "algorithm=fomaml", "--set", "seeds=2")
    assert "2 cells (1 finished, 1 to do)" in err and "Time: about" in err

    code, out, err = call("suite", "suite.toml", "--set", "algorithm=fomaml", "--json", "-q")
    (cell,) = json.loads(out)["cells"]
    assert code == ExitCode.OK and cell["record"] == records["fomaml"].name and err == ""
    assert len(list((project / "results").glob("*.json"))) == 3, "nothing was run again"

    with (project / "toy.py").open("a") as file:
        file.write("\n# edited\n")
    assert all(
        state == "to do" and ("changed since its last run: code" in reason or name == "raises")
        for name, state, reason in states(call)
    )


@pytest.mark.slow
def test_every_cell_is_sent_to_a_tracker(project, call):
    (project / "brings.py").write_text(
        "import mamlbench\nfrom mamlbench.api import Tracker\nclass Lines(Tracker):\n"
        "    def begin(self, name, settings):\n        self.folder.mkdir(exist_ok=True)\n"
        "        self.seed = settings['seed']\n"
        "    def log(self, metrics, step):\n        pass\n"
        "    def end(self, status):\n        (self.folder / self.seed).write_text(status)\n"
        "@mamlbench.hookimpl\ndef mamlbench_register_trackers(register):\n    register('lines', Lines)\n"
    )
    (project / "mamlbench.toml").write_text("plugins = ['brings.py']\n")
    cells = ["--set", "algorithm=fomaml", "--set", "seeds=2", "--set", "iterations=1", "-q"]
    code, _, _ = call("suite", "suite.toml", *cells, "--track", "lines")
    assert code == ExitCode.OK
    assert [(project / "results" / "lines" / seed).read_text() for seed in "01"] == ["finished", "finished"]


def test_a_cell_that_cannot_be_started_is_no_success(project, call):
    """Its process reports why, and the suite goes on to its end."""
    code, _, err = call("suite", "suite.toml", "--set", "algorithm=fomaml", "--set", "ways=99")
    assert code == ExitCode.RUN_FAILED
    assert "1/1 fomaml on toy, seed 0: not started: " in err and "val split: 99 ways were requested" in err


def test_a_registered_suite_runs_by_name(project, call):
    (project / "brings.py").write_text(
        "from pathlib import Path\nimport mamlbench\n\n@mamlbench.hookimpl\ndef mamlbench_register_suites(register):\n"
        "    register('tiny', Path(__file__).with_name('suite.toml'), summary='a tiny one')\n"
    )
    code, _, err = call("suite", "tiny", "--dry-run", "--plugin", "brings.py")
    assert code == ExitCode.OK and "Suite suite: 4 cells (4 to do)" in err
    _, out, _ = call("list", "suites", "--plugin", "brings.py")
    assert "tiny" in out and "a tiny one" in out
    code, _, err = call("suite", "tinny", "--plugin", "brings.py")
    assert code == ExitCode.USAGE and "neither a file nor a registered suite. Did you mean 'tiny'?" in err


def test_a_suite_that_is_no_file_is_a_broken_plugin(project, call):
    (project / "brings.py").write_text(
        "import mamlbench\n\n@mamlbench.hookimpl\ndef mamlbench_register_suites(register):\n"
        "    register('tiny', 'nowhere.toml')\n"
    )
    code, _, err = call("suite", "tiny", "--dry-run", "--plugin", "brings.py")
    assert code == ExitCode.USAGE and "target 'nowhere.toml' of suite 'tiny' is not a file" in err


@pytest.mark.parametrize(
    ("edit", "messages"),
    [
        ("shot = 1", ["Error: suite.toml:12: shot: there is no such key. Did you mean 'shots'?"]),
        (
            "options.inner_rl = 3\nsampler = 'frsh'",
            [
                "suite.toml:12: options.inner_rl: algorithm",
                "Did you mean 'inner_lr'?",
                "suite.toml:13: sampler: Unknown",
            ],
        ),
        ("ways = 3", ["suite.toml", "not valid TOML"]),
    ],
)
def test_mistakes_are_reported_with_their_lines(project, call, edit, messages):
    with (project / "suite.toml").open("a") as file:
        file.write(edit)
    code, out, err = call("suite", "suite.toml")
    assert (code, out) == (ExitCode.USAGE, "") and all(message in err for message in messages)
    assert not (project / "results").exists()


def test_set_requires_a_name_and_a_value(call):
    code, _, err = call("suite", "suite.toml", "--set", "iterations")
    assert code == ExitCode.USAGE and "--set takes NAME=VALUE, as in --set iterations=10, not 'iterations'" in err


def test_schema_has_the_options_of_a_plugin_that_is_given(project, call):
    (project / "brings.py").write_text(
        "import mamlbench\nfrom pydantic import Field\nfrom mamlbench_plugins.algorithms.fomaml import FOMAML\n"
        "class Mine(FOMAML):\n    class Options(FOMAML.Options):\n"
        "        patience: int = Field(3, description='how long to wait')\n"
        "@mamlbench.hookimpl\ndef mamlbench_register_algorithms(register):\n    register('mine', Mine)\n"
    )
    code, out, err = call("schema", "--plugin", "brings.py")
    assert (code, err) == (ExitCode.OK, "")
    options = json.loads(out)["$defs"]["Options"]["properties"]
    assert options["patience"]["description"] == "mine: how long to wait"
    assert "mine, " in options["inner_lr"]["description"]
    for what in ("run", "record"):
        code, out, _ = call("schema", what)
        assert code == ExitCode.OK and json.loads(out)["$schema"].endswith("2020-12/schema")

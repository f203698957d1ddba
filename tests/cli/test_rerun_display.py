"""``mamlbench compare --rerun-base`` through the real command line, in a repository of its own."""

import subprocess
from types import SimpleNamespace

import pytest

from mamlbench.cli.rerun_display import revision_of
from mamlbench.errors import ConfigError, ExitCode
from mamlbench.record import read_record

METHOD = """
import os
from pathlib import Path
import mamlbench
from mamlbench_plugins.algorithms.reptile import Reptile
class Mine(Reptile):
    def compute_update(self, batch):
        with Path(os.environ["RAN"]).open("a") as file:
            print(CODE, file=file)
        return super().compute_update(batch)
@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("mine", Mine)
"""
RUN = [
    "run",
    "--algo",
    "mine",
    "--dataset",
    "toy",
    "--ways",
    "3",
    "--queries",
    "2",
    "--test-episodes",
    "10",
    "--validation-episodes",
    "10",
    "--meta-batch-size",
    "2",
    "--iterations",
    "4",
    "-o",
    "backbone.width=4",
    "-o",
    "train_steps=1",
    "-o",
    "test_steps=1",
    "-q",
    "--engine",
    "loop",
]


def git(*arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch, toy_plugin):
    """A method that is committed, and changed since; each iteration writes to the file RAN which code ran it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    (tmp_path / "toy.py").write_text(toy_plugin.read_text())
    (tmp_path / "mine.py").write_text(f"CODE = 'committed'\n{METHOD}")
    (tmp_path / "mamlbench.toml").write_text('plugins = ["toy.py", "mine.py"]\n')
    (tmp_path / ".gitignore").write_text("results\ncache\nran\n__pycache__\n")
    git("init", "-q", "-b", "trunk")
    git("add", ".")
    git("commit", "-q", "-m", "committed")
    (tmp_path / "mine.py").write_text(f"CODE = 'changed'\n{METHOD}")
    return tmp_path


@pytest.mark.slow
def test_the_base_runs_with_its_own_code(repository, call):
    assert call(*RUN)[0] == ExitCode.OK
    command = [
        "compare",
        "trunk",
        "results",
        "--rerun-base",
        "--repeats",
        "1",
        "--rerun-dir",
        "again",
        "--fail",
        "device_seconds:+10%",
    ]
    code, out, err = call(*command)
    assert code == ExitCode.NOTHING and "needs 3 runs on each side: 2 more of BASE and 2 more of HEAD" in " ".join(
        out.split()
    )
    assert "2 runs in alternation, BASE with the code of trunk, about" in err
    assert "1/2 BASE: mine on toy, seed 0" in err and "2/2 HEAD: mine on toy, seed 0" in err
    (base,), (head,) = (
        [read_record(path) for path in (repository / "again" / side).glob("*.json")] for side in ("base", "head")
    )
    assert base.spec == head.spec and base.environment.code_hash != head.environment.code_hash
    assert base.test.modes == head.test.modes, "what was changed has no say in the scores"
    assert (repository / "ran").read_text().split() == ["changed"] * 4 + ["committed"] * 4 + ["changed"] * 4
    assert git("worktree", "list").count("\n") == 0


@pytest.mark.slow
def test_a_suite_file_is_run_by_both_codes_without_runs_before(repository, call):
    (repository / "mine.toml").write_text(
        'plugins = ["toy.py", "mine.py"]\nalgorithm = "mine"\ndataset = "toy"\nways = 3\nqueries = 2\nseeds = 2\n'
        'test_episodes = 10\nvalidation_episodes = 10\nmeta_batch_size = 2\niterations = 4\nengine = "loop"\n'
        "options.backbone.width = 4\noptions.train_steps = 1\noptions.test_steps = 1\n"
    )
    arguments = ["trunk", "mine.toml", "--rerun-base", "--repeats", "1", "--rerun-dir", "both"]
    code, out, err = call("compare", *arguments, "--fail", "accuracy:-50pp")
    assert code == ExitCode.OK and "equal in every episode" in " ".join(out.split()), out + err
    assert "4 runs in alternation, BASE with the code of trunk." in err
    assert sorted((repository / "ran").read_text().split()) == 8 * ["changed"] + 8 * ["committed"]
    assert not (repository / "results").exists()


@pytest.mark.slow
def test_the_gate_fails_if_the_base_cannot_run_an_algorithm(repository, call):
    (repository / "mine.py").write_text(f"CODE = 'newer'\n{METHOD}".replace('"mine"', '"newer"'))
    assert call(*(word.replace("mine", "newer") for word in RUN))[0] == ExitCode.OK
    code, _, err = call("compare", "trunk", "results", "--rerun-base", "--repeats", "1", "--fail", "accuracy:-1pp")
    assert code == ExitCode.NOTHING
    assert "BASE: newer on toy, seed 0 could not be run again: Unknown algorithm 'newer'." in err


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        (["trunk", "results"], ExitCode.NOTHING, "no configuration in common"),
        (["trunk~7", "results"], ExitCode.USAGE, "neither a file, nor a folder, nor a git revision"),
        (
            ["results", "results"],
            ExitCode.USAGE,
            "BASE has no records. Name the revision of its code with --base-revision",
        ),
    ],
)
def test_what_cannot_be_run_again_is_explained(repository, call, arguments, expected, message):
    (repository / "results").mkdir()
    code, _, err = call("compare", *arguments, "--rerun-base")
    assert code == expected and message in err


def test_the_revision_is_read_from_the_records():
    def records(*revisions):
        return [SimpleNamespace(environment=SimpleNamespace(git_revision=revision)) for revision in revisions]

    assert revision_of(records("v1.2-3-gabc", "v1.2-3-gabc")) == "v1.2-3-gabc"
    for revisions, message in (("ab", "more than one revision"), (["a-dirty"], "uncommitted"), ([""], "uncommitted")):
        with pytest.raises(ConfigError, match=message):
            revision_of(records(*revisions))

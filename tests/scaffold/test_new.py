"""Plugins written by ``mamlbench new`` run, pass the checks, lint and type-check unchanged."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mamlbench.errors import ExitCode
from mamlbench.scaffold import KINDS

ROOT = Path(__file__).parents[2]
RUN = {
    "algorithm": ["--algo", "mine"],
    "backbone": ["--algo", "fomaml", "--backbone", "mine"],
    "dataset": ["--algo", "fomaml", "--dataset", "mine"],
    "metric": ["--algo", "fomaml", "--metric", "mine"],
    "sampler": ["--algo", "fomaml", "--sampler", "mine"],
}
TINY = [
    "--ways",
    "3",
    "--queries",
    "2",
    "--test-episodes",
    "20",
    "--validation-episodes",
    "10",
    "--meta-batch-size",
    "4",
    "--iterations",
    "5",
    "-o",
    "backbone.width=8",
    "-q",
]
LONGEST = "a-name-that-is-as-long-as-can"
PYTEST = """
import sys
import pytest
sys.path.insert(0, {!r})
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider"]))
"""


def ruff(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_file_runs_and_passes_check(project, toy_plugin, kind):
    written = project.run("new", kind, "mine")
    assert "Written: mine.py" in written.out and "--plugin mine.py" in written.out
    checked = project.run("check", "mine.py", "--json").json()
    assert [(report["kind"], report["name"]) for report in checked] == [(kind, "mine")]
    toy = [] if kind == "dataset" else ["--plugin", str(toy_plugin), "--dataset", "toy"]
    project.run("run", *RUN[kind], *toy, *TINY, "--plugin", "mine.py")
    (record,) = project.records()
    assert record.status == "finished" and "mine" in record.spec.canonical_json()


@pytest.mark.parametrize("name", ["mine", LONGEST])
def test_it_passes_the_linter_and_the_formatter(project, name):
    for kind in KINDS:
        project.run("new", kind, name)
        project.run("new", kind, name, "--output", kind, "--package")
        (single,) = project.path.glob("*.py")
        ruff("check", "--isolated", "--select", "E,F,W,I,UP,B", "--line-length", "120", single, cwd=project.path)
        ruff("format", "--isolated", "--check", "--line-length", "120", single, cwd=project.path)
        single.unlink()
        ruff("check", cwd=project.path / kind / name)
        ruff("format", "--check", cwd=project.path / kind / name)


@pytest.mark.slow
def test_it_passes_the_type_checker(project):
    files = []
    for kind in KINDS:
        project.run("new", kind, f"my-{kind}")
        project.run("new", kind, f"packed-{kind}", "--package")
        files += [f"my_{kind}.py", f"packed-{kind}/src/packed_{kind}"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            ROOT / "pyproject.toml",
            "--cache-dir",
            ROOT / ".mypy_cache",
            *(project.path / file for file in files),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["algorithm", "sampler"])
def test_a_package_is_found_and_its_own_tests_pass(project, run_forked, kind):
    project.run("new", kind, "mine", "--package")
    folder = project.path / "mine"
    pyproject = tomllib.loads((folder / "pyproject.toml").read_text())
    assert pyproject["project"]["name"] == "mamlbench-mine"
    install(folder, pyproject["project"])
    done = run_forked(PYTEST.format(str(folder / "src")), folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "failed" not in done.stdout


def install(folder, project):
    """Write the metadata that pip writes for an editable installation, next to the sources."""
    metadata = folder / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    about = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}", ""]
    (metadata / "METADATA").write_text("\n".join(about))
    points = [f"{name} = {target}" for name, target in project["entry-points"]["mamlbench"].items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[mamlbench]", *points, ""]))


def test_nothing_is_overwritten_without_force(project):
    project.run("new", "sampler", "mine")
    (project.path / "mine.py").write_text("precious")
    refused = project.run("new", "sampler", "mine", expect=ExitCode.USAGE)
    assert "'mine.py' already exists" in refused.err and "--force" in refused.err
    assert (project.path / "mine.py").read_text() == "precious"
    project.run("new", "sampler", "mine", "--force")
    assert "class Mine(TaskSampler)" in (project.path / "mine.py").read_text()


def test_no_file_of_a_package_is_written_if_one_exists(project):
    (project.path / "mine").mkdir()
    (project.path / "mine" / "README.md").write_text("precious")
    project.run("new", "sampler", "mine", "--package", expect=ExitCode.USAGE)
    assert [path.name for path in (project.path / "mine").iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["algorithm", "Mine"], "Did you mean 'mine'?"),
        (["algorithm", "maml"], "algorithm 'maml' is already registered by mamlbench"),
        (["algoritm", "mine"], "'algoritm' is not one of"),
        (["algorithm", "mine", "--output", "taken"], "taken"),
    ],
)
def test_usage_errors(project, arguments, message):
    (project.path / "taken").write_text("a file")
    assert message in project.run("new", *arguments, expect=ExitCode.USAGE).err

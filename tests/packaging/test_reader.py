"""mamlbench without torch: what reads and compares works, what computes says in one sentence what to install."""

import json
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from mamlbench.cli.missing_packages import explain_missing_package

ROOT = Path(__file__).parents[2]
READER = ROOT / "plugins" / "mamlbench-reader"
RECORDS = ROOT / "results" / "reference"
LEFT_OUT = ("torch", "torchvision", "safetensors", "matplotlib", "pandas", "pillow", "pooch")

# Several commands in one process, in which the packages cannot be imported: as where they are not installed.
PROGRAM = f"""
import contextlib, io, json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {(*LEFT_OUT, "PIL")!r}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)

sys.meta_path.insert(0, Absent())
from mamlbench.cli.main import main
results = []
for arguments in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    results.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(results))
"""


def projects():
    files = (ROOT / "pyproject.toml", READER / "pyproject.toml")
    return [tomllib.loads(file.read_text(encoding="utf-8"))["project"] for file in files]


def name_of(dependency):
    return dependency.partition(">")[0]


def without_torch(commands, folder):
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        input=json.dumps(commands),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_mamlbench_without_some_dependencies():
    full, reader = projects()
    assert [entry for entry in full["dependencies"] if name_of(entry) not in LEFT_OUT] == reader["dependencies"]
    extras = [entry for entries in reader["optional-dependencies"].values() for entry in entries]
    assert set(extras) <= set(full["dependencies"])
    assert {name_of(entry) for entry in extras} == {"matplotlib", "pandas", "pillow"}
    for key in ("version", "requires-python", "license", "authors", "classifiers", "scripts", "entry-points"):
        assert full[key] == reader[key], key


def test_reading_commands_work_and_others_say_what_to_install(tmp_path):
    records = str(RECORDS)
    reading = [
        ["report", records],
        ["report", records, "--format", "html", "--output", "page.html"],
        ["report", records, "--published"],
        ["compare", records, records, "--fail", "accuracy:-5pp"],
        ["published", "omniglot"],
        ["list"],
        ["plugins"],
        ["merge", records, "--into", "united", "-q"],
    ]
    if (ROOT / ".git").exists():
        reading.append(["history", records])
    computing = [["run", "--algo", "maml"], ["info", "maml"], ["verify", records], ["env"]]
    drawing = [["report", records, "--figure", "curves", "--format", "svg"]]
    results = without_torch([*reading, *computing, *drawing], tmp_path)
    read, rest = results[: len(reading)], results[len(reading) :]
    assert [code for code, _, _ in read] == len(reading) * [0], read
    assert "maml" in read[0][1] and "maml" in read[5][1]
    assert "<table" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert read[1][2].startswith("Figures and sample episodes are left out")
    for code, out, err in rest:
        assert (code, out) == (4, "") and err.startswith("Error: ") and err.count("\n") == 1, err
    assert all("needs torch, which is not installed" in err for _, _, err in rest[:-1])
    assert "pip install matplotlib pillow" in rest[-1][2]


def test_the_sentence_names_the_change_where_the_reader_is_installed(monkeypatch):
    error = ModuleNotFoundError("No module named 'torch'", name="torch.nn")
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: name)
    assert "pip uninstall --yes mamlbench-reader" in explain_missing_package(error)


def test_an_error_of_another_package_stays_what_it_is():
    wrapped = ValueError("a plugin's")
    wrapped.__cause__ = ModuleNotFoundError("No module named 'timm'", name="timm")
    assert explain_missing_package(wrapped) is None
    wrapped.__cause__ = ModuleNotFoundError("No module named 'pandas'", name="pandas")
    assert "pip install pandas" in explain_missing_package(wrapped)


@pytest.mark.acceptance
def test_a_clean_environment_is_small_and_reads(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    program = tmp_path / "venv" / "bin"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    install = [program / "pip", "install", "--quiet", READER]
    subprocess.run(install, check=True, capture_output=True, env=environment)
    files = [path for path in (tmp_path / "venv").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < 300 * 1024**2

    def mamlbench(*arguments):
        return subprocess.run(
            [program / "mamlbench", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    for arguments in (("report", RECORDS), ("compare", RECORDS, RECORDS), ("published",), ("list",)):
        done = mamlbench(*arguments)
        assert done.returncode == 0, done.stderr
    done = mamlbench("run", "--algo", "maml")
    assert done.returncode == 4
    assert "pip uninstall --yes mamlbench-reader" in done.stderr

"""Suites on Dask, Ray and Slurm through the real command line, each on a cluster that the launcher starts."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mamlbench.errors import ExitCode

ROOT = Path(__file__).parents[2]
SUITE = """
algorithm = "fomaml"
dataset = "toy"
ways = 3
queries = 2
test_episodes = 10
validation_episodes = 10
meta_batch_size = 2
iterations = 6
seeds = 2
device = "cpu"
engine = "vmap"
options.backbone.width = 4
"""
OPTIONS = {"dask": (), "ray": (), "slurm": ("-o", "launcher.cluster=local")}
PACKAGES = {"dask": "distributed", "ray": "ray", "slurm": "submitit"}


@pytest.fixture(params=sorted(OPTIONS))
def launcher(request):
    """Name of a launcher whose extra is installed."""
    if find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"the extra '{request.param}' is not installed")
    return request.param


def command(project, *arguments):
    """Run the command in a process of its own: these clusters leave threads and handlers behind."""
    program = [sys.executable, "-m", "mamlbench.cli", "suite", "study.toml", *arguments]
    return subprocess.run(program, cwd=project.path, capture_output=True, text=True, timeout=600, check=False)


def comparable(record):
    return record.model_dump(
        mode="json", include={"spec", "test", "status", "name", "parameters", "model", "environment"}
    )


@pytest.mark.slow
def test_records_come_back_and_equal_those_of_processes(project, toy_plugin, launcher, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (project.path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}"]\n')
    (project.path / "study.toml").write_text(SUITE)
    options = "--launcher", launcher, *OPTIONS[launcher]
    ended = command(project, "--json", *options)
    assert ended.returncode == ExitCode.OK, ended.stderr
    cells = json.loads(ended.stdout)["cells"]
    assert [cell["state"] for cell in cells] == ["finished"] * 2
    there = [comparable(record) for record in project.records()]
    assert not [path.name for path in (project.path / "results").glob(".*")], "nothing is left over"
    again = command(project, "--json", *options)
    assert again.returncode == ExitCode.OK and len(project.records()) == 2, "nothing is run twice"
    here = command(project, "--results-dir", "serial", "-q")
    assert here.returncode == ExitCode.OK, here.stderr
    (project.path / "results").rename(project.path / "cluster")
    (project.path / "serial").rename(project.path / "results")
    serial = [comparable(record) for record in project.records()]
    assert sorted(there, key=str) == sorted(serial, key=str)


@pytest.mark.acceptance
def test_a_killed_worker_and_a_killed_launcher_lose_nothing(launcher):
    program = [sys.executable, str(ROOT / "benchmarks" / "launchers.py"), "kills", "--tries", "1"]
    ended = subprocess.run(
        [*program, "--launchers", launcher], capture_output=True, text=True, timeout=1800, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_attaching_needs_a_launcher_whose_runs_outlive_it(project, toy_plugin):
    (project.path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}"]\n')
    (project.path / "study.toml").write_text(SUITE)
    assert "nothing to attach to" in project.run("suite", "study.toml", "--attach", expect=ExitCode.USAGE).err
    refused = project.run("suite", "study.toml", "--attach", "--join", expect=ExitCode.USAGE)
    assert "--attach starts no cell" in refused.err

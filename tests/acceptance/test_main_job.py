"""The main job on the real Omniglot: training must beat the untrained network given the same adaptation.

Each algorithm runs for as many iterations as it needs (a minute or two), through the real command line. The bar is
on the paired gain per test episode: the lower end of its 95 % interval above 10 points.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("mamlbench"))
"""The command installed beside this interpreter, whatever PATH holds."""

ITERATIONS = {"maml": 250, "fomaml": 300, "reptile": 600, "pretrain": 2000}


@pytest.fixture(scope="module")
def prepared(shared_data, tmp_path_factory):
    """The real data, prepared by a run of one iteration: what is measured here is sampling, not preparation."""
    results = str(tmp_path_factory.mktemp("prepared"))
    command = [COMMAND, "run", "--algo", "fomaml", "--dataset", "omniglot", "--data-dir", str(shared_data), "-q"]
    few = ["--iterations", "1", "--test-episodes", "2", "--validation-episodes", "2", "--results-dir", results]
    subprocess.run([*command, *few], check=True, capture_output=True, timeout=300)
    return shared_data


@pytest.mark.acceptance
@pytest.mark.parametrize("algorithm", sorted(ITERATIONS))
def test_paired_gain_on_omniglot(tmp_path, prepared, algorithm):
    command = [
        COMMAND,
        "run",
        "--algo",
        algorithm,
        "--dataset",
        "omniglot",
        "--data-dir",
        str(prepared),
        "--results-dir",
        str(tmp_path),
        "--iterations",
        str(ITERATIONS[algorithm]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    (path,) = tmp_path.glob("*.json")
    record = json.loads(path.read_text())
    assert record["status"] == "finished"
    result = record["test"]["metrics"]["accuracy"]["modes"]["transductive"]
    assert record["test"]["protocol"]["test_episodes"] >= 600
    assert record["test"]["protocol"]["queries"] == 1
    assert result["gain"]["low"] > 0.10, result["gain"]
    segments = record["measurement"]["segments"]
    named = sum(segments[name]["wall"] for name in ("data", "train", "evaluate", "checkpoint"))
    assert named == pytest.approx(record["measurement"]["wall_seconds"], rel=0.02)
    assert segments["data"]["wall"] < 0.03 * record["measurement"]["wall_seconds"]

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mamlbench
from mamlbench.record import current_environment
from mamlbench.record.environment import ABOVE_THE_RUNNER


def test_it_names_machine_and_software():
    environment = current_environment()
    assert environment.python.startswith("3.")
    assert environment.cpu
    assert environment.cores >= 1
    assert environment.packages["mamlbench"] == mamlbench.__version__
    assert {"torch", "numpy"} <= set(environment.packages)
    assert len(environment.code_hash) == 16


def test_the_fingerprint_follows_everything_in_it():
    base = current_environment()
    changed = [
        base.model_copy(update={"code_hash": "0" * 16}),
        base.model_copy(update={"packages": {**base.packages, "torch": "0.1"}}),
        current_environment(threads=1),
        current_environment(plugins={"another": "0.3"}),
        current_environment(device_name="a big one"),
    ]
    assert current_environment().fingerprint == base.fingerprint
    assert len({environment.fingerprint for environment in [base, *changed]}) == len(changed) + 1
    assert len(base.fingerprint) == 16


CHANGES = [  # field, value before, value now, what is reported
    ("code_hash", "0" * 16, "1" * 16, ["code"]),
    ("git_revision", "abc", "def", []),
    ("threads", 1, 2, ["threads 1 → 2"]),
    ("device_name", "small", "big", ["device name small → big"]),
    ("packages", {"torch": "2.6"}, {"torch": "2.7"}, ["torch 2.6 → 2.7"]),
    (
        "packages",
        {"torch": "2.6", "scipy": "1"},
        {"torch": "2.6", "timm": "2"},
        ["scipy 1 → absent", "timm absent → 2"],
    ),
    ("plugins", {"mine": "1"}, {"mine": "1"}, []),
]


@pytest.mark.parametrize(("field", "before", "now", "reported"), CHANGES)
def test_what_has_changed_is_reported(field, before, now, reported):
    environment = current_environment()
    earlier, later = (environment.model_copy(update={field: value}) for value in (before, now))
    assert later.changes_since(earlier) == reported
    assert environment.changes_since(environment) == []


def test_the_code_of_plugins_is_a_part_of_the_hash_of_the_code():
    assert current_environment(plugin_code="a").code_hash != current_environment(plugin_code="b").code_hash
    assert current_environment(plugin_code="").code_hash == current_environment().code_hash


def test_cores_are_those_that_this_process_may_use():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert current_environment().cores == cores


def test_an_edited_line_changes_the_code_hash(tmp_path):
    def code_hash():
        code = "from mamlbench.record import current_environment; print(current_environment().code_hash)"
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    copy = tmp_path / "mamlbench"
    shutil.copytree(Path(mamlbench.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    first = code_hash()
    assert first == current_environment().code_hash, "the same code has the same hash wherever it lies"
    with (copy / "report" / "formatting.py").open("a") as file:
        file.write("# shows a number, and changes none\n")
    assert code_hash() == first
    with (copy / "errors.py").open("a") as file:
        file.write("# edited\n")
    assert code_hash() != first


def test_what_does_not_count_is_out_of_the_reach_of_a_run():
    """The layers that do not count lie beside the runner or above it, so that it cannot import them."""
    contracts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    (layers,) = [
        entry["layers"] for entry in contracts["tool"]["importlinter"]["contracts"] if entry["type"] == "layers"
    ]
    (runner,) = [index for index, layer in enumerate(layers) if "mamlbench.runner" in layer.split(" | ")]
    unreachable = {name.removeprefix("mamlbench.") for layer in layers[: runner + 1] for name in layer.split(" | ")}
    assert set(ABOVE_THE_RUNNER) <= unreachable - {"runner"}

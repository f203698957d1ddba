"""Mutation testing: how many small mistakes, planted one at a time, make a test of the part fail.

    pip install mutmut
    python benchmarks/mutation.py statistics --sample 300

mutmut plants the mistakes in a copy of the code, in build/mutation/PART, and runs there the tests that reach the
function, one mistake after the other. Printed are the share that was found, by file, and each mistake that was not.
Functions with a decorator, properties for one, are left as they are by mutmut.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Part(NamedTuple):
    """A part of the code, and the tests that have to find its mistakes."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    without: str = "nothing_at_all"
    """An expression of ``pytest -k`` for tests that take too long to be run for each mistake."""


PARTS = {
    "statistics": Part(
        ("mamlbench/report/statistics/*", "mamlbench/student_t.py", "mamlbench/shared_classes.py"),
        ("tests/report/statistics", "tests/report/table", "tests/test_student_t.py", "tests/test_shared_classes.py"),
        without="rate or covers or bootstrap_of_three or chance or trials or rarely or conservative_one or percent"
        " or no_torch",
    ),
    "samplers": Part(
        ("mamlbench/data/sampler.py", "mamlbench/data/episode_passes.py", "mamlbench_plugins/samplers/*"),
        ("tests/data/test_sampler.py", "tests/data/test_episode_passes.py", "tests/plugins/samplers"),
    ),
    "records": Part(("mamlbench/record/*",), ("tests/record",)),
    "checkpoints": Part(
        ("mamlbench/runner/checkpoint*.py", "mamlbench/runner/tree_file.py"),
        (
            "tests/runner/test_checkpoint_folder.py",
            "tests/runner/test_checkpointer.py",
            "tests/runner/test_damaged_models.py",
            "tests/runner/test_model_files.py",
            "tests/runner/test_tree_file.py",
        ),
    ),
    "compare": Part(("mamlbench/report/gate/*",), ("tests/report/gate",)),
}

SETTINGS = """
[tool.mutmut]
source_paths = ["mamlbench", "mamlbench_plugins"]
only_mutate = {files}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not ({without})"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
track_dependencies = false
also_copy = [".github", "benchmarks", "results"]
"""

NAMES = """
from pathlib import Path
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name
for path in sorted(walk_mutatable_files()):
    for name in mutate_file_contents(str(path), path.read_text()).mutant_names:
        print(get_mutant_name(path, name))
"""


def prepare(part: Part, folder: Path) -> None:
    """Copy the code and its tests; packages lie side by side there, as mutmut expects them."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "mutants").mkdir(parents=True)  # on Python's path, where it is not looked at if it comes later
    ignore = shutil.ignore_patterns("__pycache__")
    for source, name in (("mamlbench", "mamlbench"), ("plugins/mamlbench_plugins", "mamlbench_plugins")):
        shutil.copytree(ROOT / source, folder / name, ignore=ignore)
    for name in ("tests", ".github", "benchmarks", "results"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    tests = [name for name in part.tests if (ROOT / name).exists()]
    settings = SETTINGS.format(files=json.dumps(part.files), tests=json.dumps(tests), without=part.without)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(project + settings, encoding="utf-8")


def outcomes(folder: Path) -> dict[str, dict[str, str]]:
    """What became of each mistake that was tried, by file."""
    from mutmut.stats import status_by_exit_code

    results = {}
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        tried = {name: status_by_exit_code[code] for name, code in codes.items() if code is not None}
        if tried:
            results[meta.relative_to(folder / "mutants").as_posix().removesuffix(".meta")] = tried
    return results


def show(results: dict[str, dict[str, str]], names: list[str], mutmut: list[str], folder: Path) -> None:
    """Print the mistakes that were not found, then the scores."""
    total: Counter[bool] = Counter()
    lines = []
    for path, tried in results.items():
        killed = {name: status in ("killed", "timeout") for name, status in tried.items()}
        total.update(killed.values())
        lines.append(f"{path:60} {sum(killed.values()):4} of {len(killed):4}")
        for name in (name for name, was_killed in killed.items() if not was_killed):
            shown = subprocess.run([*mutmut, "show", name], cwd=folder, capture_output=True, text=True, check=True)
            print(shown.stdout)
    print(*lines, sep="\n")
    print(f"\n{total[True]} of {total.total()} found: {total[True] / total.total():.1%} ({len(names)} mistakes in all)")


def main() -> None:
    """Run mutmut on one part and show what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--sample", type=int, help="number of mistakes, drawn at random; all of them by default")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", default="", help="mistakes whose name contains this text")
    arguments = parser.parse_args()
    folder = ROOT / "build" / "mutation" / arguments.part
    prepare(PARTS[arguments.part], folder)
    os.environ |= {"PYTHONPATH": str(folder / "mutants"), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    listed = subprocess.run([sys.executable, "-c", NAMES], cwd=folder, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split() if arguments.only in name]
    sample = random.Random(arguments.seed).sample(names, min(arguments.sample or len(names), len(names)))
    mutmut = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()"]
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run([*mutmut, "run", "--max-children", "1", *sample], cwd=folder, stdout=log, stderr=log, check=True)
    show(outcomes(folder), names, mutmut, folder)


if __name__ == "__main__":
    main()

"""The shape of the code: one name for one thing, small files and functions, no module hidden, light imports."""

import ast
import importlib
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from statistics import quantiles
from types import ModuleType

import pytest

import mamlbench
import mamlbench.api
import mamlbench_plugins

ROOT = Path(__file__).parents[1]
PACKAGES = {package.__name__: Path(package.__file__).parent for package in (mamlbench, mamlbench_plugins)}
FILES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))

LONGEST_FILE = 400
LONGEST_FUNCTION = 25
"""Lines; a function at the 95th percentile."""
API_LINES = 1000


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def short(path):
    """A file's path from its package on."""
    return next(
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        if path.is_relative_to(folder)
    )


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_files_are_found():
    assert len(FILES) > 150
    assert {"mamlbench/api/__init__.py", "mamlbench_plugins/algorithms/maml.py"} <= {short(path) for path in FILES}


def test_no_class_name_stands_for_two_things():
    """``Options`` apart, which is nested in the class whose options they are."""
    places = defaultdict(set)
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and node.name != "Options":
                places[node.name].add(short(path))
    twice = {name: sorted(files) for name, files in places.items() if len(files) > 1}
    assert not twice


def test_no_module_name_stands_three_times():
    places = defaultdict(list)
    for path in FILES:
        if path.stem not in {"__init__", "__main__"}:
            places[path.stem].append(short(path))
    assert not {name: files for name, files in places.items() if len(files) > 2}


def modules():
    """Every module and inner package, by its dotted name."""
    for name, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            inner = path.relative_to(folder).with_suffix("").parts
            inner = inner[:-1] if inner[-1] == "__init__" else inner
            if inner and inner[-1] != "__main__":
                yield ".".join((name, *inner))


@pytest.mark.parametrize("name", sorted(modules()))
def test_no_module_is_hidden_by_an_attribute_of_its_package(name):
    """``from package import module`` gives the module, whatever was imported before."""
    package, _, stem = name.rpartition(".")
    importlib.import_module(name)
    assert isinstance(getattr(importlib.import_module(package), stem), ModuleType)


def test_no_file_is_longer_than_400_lines():
    folders = [ROOT / name for name in ("mamlbench", "plugins", "tests", "benchmarks", "docs")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(files) > len(FILES)
    assert not {str(path.relative_to(ROOT)): lines(path) for path in files if lines(path) > LONGEST_FILE}


def test_functions_are_short():
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(lengths) > 1000
    assert quantiles(lengths, n=20)[-1] <= LONGEST_FUNCTION


def test_the_api_stays_small():
    assert sum(lines(path) for path in (PACKAGES["mamlbench"] / "api").rglob("*.py")) < API_LINES


@pytest.mark.parametrize("word", ["fmt: " + "skip", "fmt: " + "off"])
def test_the_formatter_formats_everything(word):
    folders = [*PACKAGES.values(), ROOT / "tests", ROOT / "benchmarks", ROOT / "docs", ROOT / "plugins"]
    files = {path for folder in folders for path in folder.rglob("*.py")}
    assert not [path for path in files if word in path.read_text(encoding="utf-8")]


HEAVY = ["torch", "torchvision", "PIL", "pandas", "scipy", "matplotlib"]


@pytest.mark.parametrize("name", ["Tracker", "Launcher", "Options", "hookimpl", "Register", "ConfigError"])
def test_what_a_tracker_or_a_launcher_imports_is_light(name):
    code = f"from mamlbench.api import {name}; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_three_lists_of_the_api_agree():
    """The imports for type checkers, the table for everybody else, and ``__all__``."""
    (block,) = [node for node in tree(Path(mamlbench.api.__file__)).body if isinstance(node, ast.If)]
    imported = {node.module: {alias.name for alias in node.names} for node in block.body}
    assert imported == {module: set(names.split()) for module, names in mamlbench.api._HOMES.items()}
    names = [name for names in mamlbench.api._HOMES.values() for name in names.split()]
    assert sorted(names) == sorted(mamlbench.api.__all__)
    assert len(names) == len(set(names))
    for module, names in imported.items():
        for name in names:
            assert getattr(mamlbench.api, name) is getattr(importlib.import_module(module), name)

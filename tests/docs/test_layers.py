"""The table of layers in the explanation is that of the import contracts, and leaves no package out."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def make_layers():
    spec = importlib.util.spec_from_file_location("make_layers", ROOT / "docs" / "make_layers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_contracts(make_layers):
    assert make_layers.written(PAGE) == PAGE, "run python docs/make_layers.py"


def test_every_package_has_a_layer(make_layers):
    named = re.findall(r"^\| \d* \| `mamlbench\.(\w+)` \| \S", make_layers.tables(), re.MULTILINE)
    packages = {path.parent.name for path in (ROOT / "mamlbench").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "mamlbench").glob("*.py")} - {"__init__", "__main__"}
    assert sorted(named) == sorted(packages | modules)


def test_a_changed_layer_changes_the_page(make_layers, monkeypatch):
    contract = {"type": "layers", "layers": ["mamlbench.cli", "mamlbench.record | mamlbench.errors"]}
    monkeypatch.setattr(make_layers, "contracts", lambda: [contract])
    assert [row.split(" | ")[0] for row in make_layers.layers()] == ["| 1", "| 2", "| "]
    assert make_layers.written(PAGE) != PAGE


def test_a_page_without_markers_is_an_error(make_layers):
    with pytest.raises(ValueError, match="has no"):
        make_layers.written("# Explanation\n")

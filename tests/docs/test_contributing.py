"""What CONTRIBUTING.md points at is there, and every package can be found from it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`((?:mamlbench|plugins|tests)/[\w./-]*)`", PAGE)))


@pytest.mark.parametrize("place", PLACES)
def test_every_place_named_is_there(place):
    assert (ROOT / place).is_dir() if place.endswith("/") else (ROOT / place).is_file()


def test_every_package_is_named():
    packages = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "mamlbench").glob("*/__init__.py")}
    plugins = ROOT / "plugins" / "mamlbench_plugins"
    packages |= {path.parent.relative_to(ROOT).as_posix() for path in plugins.glob("*/__init__.py")}
    assert len(packages) > 18
    assert not [package for package in sorted(packages) if not any(place.startswith(package) for place in PLACES)]


def test_the_commands_are_those_of_tox():
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for command in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert command in PAGE and command in tox


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    assert citation["license"] == project["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]


def test_the_citation_is_valid():
    command = ["-P", "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format", ROOT / "CITATION.cff"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

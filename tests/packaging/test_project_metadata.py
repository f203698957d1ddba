"""What the package says of itself: the page on PyPI, its addresses, the Pythons that it runs on."""

import re
import tomllib
from pathlib import Path

import yaml

import mamlbench

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPOSITORY = "https://github.com/mamlbench/mamlbench"


def page():
    """The README with the substitutions that are made while a distribution is built."""
    text = README
    for entry in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(entry["pattern"], entry["replacement"], text)
    return text


def test_no_address_on_pypi_is_relative():
    assert re.search(r"\]\(docs/", README), "the README itself stays as it is read in a clone"
    targets = re.findall(r"\]\(([^)]*)\)", page())
    assert len(targets) == len(re.findall(r"\]\(([^)]*)\)", README)) > 10
    assert not [target for target in targets if not target.startswith("https://")]


def test_images_are_files_and_pages_are_for_people():
    (image,) = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", page())
    assert image == "https://raw.githubusercontent.com/mamlbench/mamlbench/main/docs/table.svg"
    assert f"]({REPOSITORY}/blob/main/docs/tutorial.md)" in page()


def test_the_addresses_agree_with_those_for_citing():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    urls = PROJECT["project"]["urls"]
    assert urls["Repository"] == citation["repository-code"] == REPOSITORY
    assert urls["Documentation"] == citation["url"]
    assert citation["version"] == PROJECT["project"]["version"] == mamlbench.__version__


def test_every_python_that_is_claimed_is_tested():
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert claimed == jobs["test"]["strategy"]["matrix"]["python-version"]
    assert PROJECT["project"]["requires-python"] == f">={claimed[0]}"

"""What the tests of one module run with: the toy plugin, and a results folder and a cache of their own."""

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders


@pytest.fixture(scope="module")
def plugins(toy_plugin):
    return load_plugins([toy_plugin])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return Folders(results=folder / "results", cache=folder / "cache")

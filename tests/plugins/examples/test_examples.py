"""Every single-file example runs as its first line says."""

from pathlib import Path

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.runner import launch, plan, request
from mamlbench.spec import Folders

EXAMPLES = sorted((Path(__file__).parents[3] / "plugins" / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_trains_and_is_tested(tmp_path, path):
    plugins = load_plugins([path])
    (report,) = [each for each in plugins.reports if each.name == path.stem]
    algorithms = tuple(name.removeprefix("algorithm ") for name in report.provides if name.startswith("algorithm "))
    assert algorithms
    asked = request(
        algorithms=algorithms, dataset="glyphs", test_episodes=100, validation_episodes=20,
        meta_batch=8, iterations=100, options={"backbone.width": 16},
    )  # fmt: skip
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    for record in launch(plan(asked, plugins), plugins, folders):
        assert record.status == "finished", record.reason
        assert record.test.modes["transductive"].gain.low > 0

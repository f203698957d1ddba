"""Every single-file example runs as its first line says."""

import csv
import json
from pathlib import Path

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import make_request, plan

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "plugins" / "examples").glob("*.py"))
COLUMNS = [path for path in EXAMPLES if "mamlbench_report_columns" in path.read_text()]


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path not in COLUMNS], ids=lambda path: path.stem)
def test_an_example_trains_and_is_tested(tmp_path, prepared_cache, path):
    plugins = load_plugins([path])
    (report,) = [report for report in plugins.reports if report.name == path.stem]
    algorithms = tuple(name.removeprefix("algorithm ") for name in report.provides if name.startswith("algorithm "))
    assert algorithms
    asked = make_request(
        algorithms=algorithms,
        dataset="glyphs",
        test_episodes=100,
        validation_episodes=20,
        meta_batch_size=8,
        iterations=100,
        options={"backbone.width": 16},
    )
    folders = Folders(results=tmp_path / "results", cache=prepared_cache)
    for record in launch(plan(asked, plugins), plugins, folders):
        assert record.status == "finished", record.reason
        assert record.test.modes["transductive"].gain.low > 0


@pytest.mark.parametrize("path", COLUMNS, ids=lambda path: path.stem)
def test_an_examples_columns_have_something_to_show(project, path):
    record = json.loads((ROOT / "tests" / "record" / "data" / "schema-1-finished.json").read_text())
    (project.path / "results").mkdir()
    for seed in range(2):
        record["spec"]["seed"] = seed
        (project.path / "results" / f"{seed}.json").write_text(json.dumps(record | {"name": f"run-{seed}"}))
    (row,) = csv.DictReader(project.run("report", "--plugin", str(path), "--format", "csv").out.splitlines())
    (report,) = [report for report in load_plugins([path]).reports if report.name == path.stem]
    names = [name.removeprefix("column ") for name in report.provides]
    assert names and all(float(row[name]) >= 0 for name in names)

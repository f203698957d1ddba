"""The suites that are shown and committed are read, planned and valid by the schema that is printed."""

import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders
from mamlbench.runner.json_schemas import suite_schema
from mamlbench.runner.suites.run_suite import plan_suite
from mamlbench.suite import SuiteFile, SuiteSettings, read_suite

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
EXAMPLES = {
    "page": re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0],
    "reference": (ROOT / "results" / "reference.toml").read_text(encoding="utf-8"),
}


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


def cells(plugins, tmp_path, text):
    path = tmp_path / "suite.toml"
    path.write_text(text)
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    return plan_suite(read_suite(path), plugins, folders).cells


def test_the_example_has_the_cells_that_it_describes(plugins, tmp_path):
    planned = cells(plugins, tmp_path, EXAMPLES["page"])
    per = [(c.spec.algorithm.name, c.spec.protocol.shots, c.spec.backbone.options["width"]) for c in planned]
    assert len(planned) == 27 and ("maml", 5, 32) not in per and ("pretrain", 5, 16) in per
    assert {c.spec.training.iterations for c in planned if c.spec.algorithm.name == "reptile"} == {1500}


def test_the_reference_suite_needs_no_data_and_has_enough_seeds(plugins, tmp_path):
    planned = cells(plugins, tmp_path, EXAMPLES["reference"])
    kinds = [("maml", "glyphs", "conv4-strided"), ("reptile", "glyphs", "conv4-strided"), ("maml", "glyphs", "mlp")]
    assert [(c.spec.algorithm.name, c.spec.dataset.name, c.spec.backbone.name, c.spec.seed) for c in planned] == [
        (*kind, seed) for kind in kinds for seed in range(8)
    ]
    assert {c.spec.engine for c in planned} == {"vmap"}, "another engine would be another time"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_schema_accepts_them(plugins, name):
    validator = Draft202012Validator(suite_schema(plugins.registry, []))
    assert list(validator.iter_errors(tomllib.loads(EXAMPLES[name]))) == []


def test_the_page_names_every_setting():
    words = set(re.findall(r"\w+", PAGE))
    assert set(SuiteSettings.model_fields) | set(SuiteFile.model_fields) - {"summary"} <= words


def test_the_page_names_every_option_of_the_command():
    from mamlbench.cli.commands.suite import command

    own = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    shared = {"--data-dir", "--plugin", "--json", "--quiet", "--debug", "--verbose", "--log-file"}
    assert all(option in PAGE for option in own if option not in shared)

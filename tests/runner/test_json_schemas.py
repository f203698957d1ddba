"""The JSON schemas say what is accepted: no more, no less."""

import json
import tomllib

import pytest
from jsonschema import Draft202012Validator

from mamlbench.plugin import Entry, load_plugins
from mamlbench.run_spec import RunRequest
from mamlbench.runner.json_schemas import published_schema, record_schema, run_schema, suite_schema
from mamlbench.runner.plan import plan


@pytest.fixture(scope="module")
def registry():
    return load_plugins().registry


@pytest.fixture(scope="module")
def suite(registry):
    return Draft202012Validator(suite_schema(registry, []))


def test_all_are_json_schemas(registry):
    for schema in (suite_schema(registry, []), run_schema(registry, []), record_schema(), published_schema()):
        Draft202012Validator.check_schema(schema)
        json.dumps(schema)


@pytest.mark.parametrize(
    "text",
    [
        'algorithm = "maml"',
        'algorithm = ["maml", "reptile"]\nshots = [1, 5]\nseeds = 3\nmodes = ["inductive"]\ntarget_score = 0.9',
        'algorithm = "maml"\n[options]\ninner_lr = [0.1, 0.4]\n"backbone.width" = 8\nclip = "none"\n'
        '[options.dataset]\nrotations = ["none", "classes"]\n[options.algorithm]\ntrain_steps = 2',
        'algorithm = "maml"\noptions.backbone.hidden = [[40, 40]]\nbackbone = "mlp"',
        '[[include]]\nalgorithm = "maml"\n[[override]]\nwhen.algorithm = ["maml"]\niterations = 3\n'
        "[[exclude]]\noptions.inner_lr = 0.1",
        'algorithm = "maml"\nengine = ["auto", "vmap[3]+remat"]',
        'algorithm = "maml"\nmetrics = ["accuracy", "macro F1"]\nkeep_predictions = true',
    ],
)
def test_good_suites(suite, text):
    assert list(suite.iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        'algorithm = "mmal"',
        'algo = "maml"',
        "algorithm = []",
        'algorithm = "maml"\nshots = 0',
        'algorithm = "maml"\nmetrics = ["macro F2"]',
        'algorithm = "maml"\nengine = "vmap[0]"',
        'algorithm = "maml"\nshots = "one"',
        'algorithm = "maml"\noptions.inner_rl = 0.1',
        'algorithm = "maml"\noptions.inner_lr = "fast"',
        'algorithm = "maml"\noptions.backbone.width = [8, 0]',
        'algorithm = "maml"\n[[override]]\nshots = 1',
        'algorithm = "maml"\n[[exclude]]\nseeds = 1',
    ],
)
def test_bad_suites(suite, text):
    assert not suite.is_valid(tomllib.loads(text))


def test_every_registered_file_of_published_numbers_is_valid_and_a_wrong_key_is_not(registry):
    validator = Draft202012Validator(published_schema())
    files = [tomllib.loads(file.path.read_text(encoding="utf-8")) for file in registry.published]
    assert any("reproduction" in file for file in files) and any("group" in file for file in files)
    for file in files:
        assert list(validator.iter_errors(file)) == []
    for table, entries in (("group", "results"), ("reproduction", "reproduces")):
        (broken,) = [file for file in files if table in file][:1]
        broken[table][0][entries][0]["shot"] = 1
        assert not validator.is_valid(broken)


@pytest.mark.parametrize("algorithm", ["maml", "reptile", "pretrain"])
@pytest.mark.parametrize("dataset", ["omniglot", "sinusoid"])
def test_every_spec_that_is_planned_is_valid_and_a_wrong_option_is_not(registry, algorithm, dataset):
    validator = Draft202012Validator(run_schema(registry, []))
    (spec,) = plan(RunRequest(algorithms=(algorithm,), dataset=dataset), load_plugins())
    written = spec.model_dump(mode="json")
    validator.validate(written)
    written["algorithm"]["options"]["wrong"] = 1
    assert not validator.is_valid(written)


def test_options_say_whose_they_are(registry):
    options = suite_schema(registry, [])["$defs"]["Options"]["properties"]
    owners, _, words = options["inner_lr"]["description"].partition(": ")
    assert {"fomaml", "maml", "reptile"} < set(owners.split(", ")) and words
    assert "protonet" not in owners
    assert "conv4-strided" in options["backbone.width"]["description"]


def test_a_plugin_that_cannot_be_imported_is_left_out_and_named(registry):
    problems = []
    broken = load_plugins().registry
    broken.add_all([Entry("algorithm", "broken", "no.such.module:Class", "", "somebody")])
    schema = suite_schema(broken, problems)
    assert len(problems) == 1 and "algorithm 'broken' (somebody) cannot be imported" in problems[0]
    assert schema["$defs"]["Options"] == suite_schema(registry, [])["$defs"]["Options"]

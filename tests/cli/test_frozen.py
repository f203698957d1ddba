"""Frozen encoders through the command line: one pass, then rows as of any network."""

import json

import pytest
from safetensors.torch import save_file
from torchvision.models import shufflenet_v2_x0_5

from mamlbench.errors import ExitCode

SMALL = [
    "--dataset",
    "toy",
    "--ways",
    "3",
    "--test-episodes",
    "20",
    "--validation-episodes",
    "4",
    "--engine",
    "loop",
    "-q",
]
NETWORK = ["-o", "backbone.network=torchvision:shufflenet_v2_x0_5", "-o", "backbone.image_size=32"]


@pytest.fixture
def run(project, toy_plugin):
    return lambda *more, **expect: project.run("run", "--plugin", str(toy_plugin), *SMALL, *more, **expect)


@pytest.fixture
def weights(project):
    save_file(shufflenet_v2_x0_5(weights=None).state_dict(), project.path / "r.safetensors")
    return "frozen:r.safetensors"


def test_own_models_features_are_an_encoder(run, project, toy_plugin):
    run("--algo", "protonet", "--train-ways", "3", "--iterations", "1", "-o", "backbone.width=4")
    (trained,) = project.records()
    encoder = f"frozen:results/{trained.name}.json"
    for number, method in enumerate(("protonet", "r2d2", "logistic"), 1):
        run("--algo", method, "--backbone", encoder)
        *_, record = project.records()
        once, test = record.measurement.features, record.test
        assert (once.images, once.cached) == (70 * 12, number > 1)
        assert test.seen.answer == "not seen" and list(test.modes) == ["inductive"]
        assert test.modes["inductive"].untrained is None and not record.spec.training.iterations
        assert record.spec.weights_sha256 and record.data.split_hashes == trained.data.split_hashes
        text = " ".join(project.run("report", f"results/{record.name}.json", "--notes").out.split())
        assert "features s" in text and "one pass over 840 images" in text and "Nothing was trained here" in text
        assert ("made by an earlier run" if once.cached else "counted in the time") in text
    assert "maml" in run("--algo", "maml", "--backbone", encoder, "--iterations", "2").out
    *_, record = project.records()
    assert record.test.modes["inductive"].untrained is not None and record.parameters < 1000


def test_weights_from_elsewhere_are_unknown_unless_they_are_declared(run, project, weights):
    run("--algo", "protonet", "--backbone", weights, *NETWORK)
    run("--algo", "protonet", "--backbone", weights, *NETWORK, "-o", 'backbone.trained_classes=["test/3", "other"]')
    run("--algo", "protonet", "--backbone", weights, *NETWORK, "-o", 'backbone.trained_classes=["other"]')
    run("--algo", "simpleshot", "--backbone", weights, *NETWORK, "-o", "backbone.center=true")
    records = project.records()
    assert [record.test.seen.answer for record in records] == ["unknown", "seen", "not seen", "unknown"]
    assert [record.measurement.features.cached for record in records] == [False, True, True, True]


def test_the_network_itself_is_tuned_without_the_cache(run, project, weights):
    shown = run("--algo", "finetune", "--backbone", weights, *NETWORK, expect=ExitCode.USAGE)
    assert "tunes the features" in shown.err and "backbone.cached=false" in shown.err
    few = ["--test-episodes", "2", "--validation-episodes", "2", "-o", "test_steps=1"]
    run("--algo", "finetune", "--backbone", weights, *NETWORK, "-o", "backbone.cached=false", *few)
    (record,) = project.records()
    assert record.measurement.features is None and record.test.seen.answer == "unknown"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--algo", "protonet", "--corrupt", "noise:0.1"], "leave out --corrupt"),
        (["--algo", "protonet", "--iterations", "3", "--train-ways", "3"], "learns nothing beside the features"),
        (["--algo", "boil"], "tunes the features"),
        (["--algo", "maml", "--dataset", "sinusoid"], "is an encoder of images"),
    ],
)
def test_what_features_rule_out_is_refused(run, weights, arguments, problem):
    assert problem in run(*arguments[:2], "--backbone", weights, *NETWORK, *arguments[2:], expect=ExitCode.USAGE).err


def test_a_model_is_tested_and_verified_with_its_weights_alone(run, project, toy_plugin, weights):
    run("--algo", "protonet", "--backbone", weights, *NETWORK)
    (record,) = project.records()
    path = f"results/{record.name}.json"
    plugin = ["--plugin", str(toy_plugin)]
    assert project.run("evaluate", path, *plugin, "--shots", "2", "--json").json()["seen"]["answer"] == "unknown"
    project.run("verify", path, *plugin)
    save_file(shufflenet_v2_x0_5(weights=None).state_dict(), project.path / "r.safetensors")
    shown = project.run("evaluate", path, *plugin, expect=ExitCode.USAGE)
    assert "are not those of the run any more" in shown.err


def test_a_spec_keeps_the_weights_in_its_hash(run, project, weights):
    run("--algo", "protonet", "--backbone", weights, *NETWORK)
    save_file(shufflenet_v2_x0_5(weights=None).state_dict(), project.path / "r.safetensors")
    run("--algo", "protonet", "--backbone", weights, *NETWORK)
    first, second = project.records()
    assert first.spec_hash != second.spec_hash and not second.measurement.features.cached
    assert json.loads(first.spec.canonical_json())["weights_sha256"] == first.spec.weights_sha256

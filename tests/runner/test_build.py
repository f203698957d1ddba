"""A run is built in the precision that it asks for, or refused in one sentence."""

from pathlib import Path

import pytest
import torch
from torch import nn

import mamlbench
from mamlbench.api import ConfigError
from mamlbench.engine import AutotuneCache
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import PRECISIONS, Folders, RunRequest
from mamlbench.runner.build import build_experiment, load_dataset, model_builder
from mamlbench.runner.engine_workload import speed_facts
from mamlbench.runner.plan import plan
from mamlbench_plugins.algorithms.baseline_plus_plus import BaselinePlusPlus, with_cosines
from mamlbench_plugins.backbones.conv4 import StridedConv4

CPU = torch.device("cpu")
ALGORITHMS = [
    entry.name
    for entry in load_plugins().registry.entries("algorithm")
    if entry.origin == "mamlbench" and "classification" in entry.load().kinds
]
TINY = {"dataset": "toy", "ways": 3, "iterations": 5, "meta_batch_size": 4, "test_episodes": 20}


class Stubborn(StridedConv4):
    """Multiplies by a matrix in float32 whatever comes."""

    def features(self, input_shape):
        features, width = super().features(input_shape)
        return nn.Sequential(features, Float32Only(width)), width


class Float32Only(nn.Module):
    """Looks at the type of its input."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        outputs = self.linear(x)
        if outputs.dtype != torch.float32:
            raise RuntimeError(f"expected float32, not {outputs.dtype}.\nand more")
        return outputs


class OwnModel(BaselinePlusPlus):
    """Forgets what the model was that it makes another of."""

    def __init__(self, context, options):
        super().__init__(context, options)
        self.task_model = type(self.task_model)(self.task_model.network)


@mamlbench.hookimpl
def mamlbench_register_backbones(register):
    register("stubborn", Stubborn)


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("own-model", OwnModel)


@pytest.fixture
def build(toy_plugin, tmp_path):
    plugins = load_plugins([toy_plugin, Path(__file__)])

    def build(algorithm="maml", *, width="4", **settings):
        options = {} if width is None else {"backbone.width": width}
        (spec,) = plan(RunRequest(algorithms=(algorithm,), options=options, **{**TINY, **settings}), plugins)
        source = load_dataset(spec, plugins, Folders(results=tmp_path, cache=tmp_path, data=()))
        return build_experiment(spec, plugins, source, tmp_path)

    return build


def floats(*trees):
    return {leaf.dtype for leaf in torch.utils._pytree.tree_leaves(trees) if leaf.is_floating_point()}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_everything_a_method_makes_has_the_type_of_the_parameters(build, algorithm, precision):
    experiment = build(algorithm, precision=precision, engine="vmap")
    expected = {torch.float64 if precision == "float64" else torch.float32}
    batch = experiment.training_batch(0)
    update = experiment.compute_update(0, batch)
    episodes = experiment.episodes("val", 0, 4, experiment.spec.protocol)
    adapted = experiment.algorithm.adapt(episodes.support, episodes.keys)
    outputs = [adapted.predict(episodes.query.x, mode) for mode in ("transductive", "inductive")]
    assert floats(batch, update.sums, update.loss, episodes, outputs) == expected
    experiment.algorithm.apply(update)
    assert floats(experiment.algorithm.meta) == expected
    assert all(value.isfinite().all() for value in experiment.algorithm.meta.values())


@pytest.mark.parametrize("algorithm", ["maml", "protonet", "baseline++"])
def test_every_precision_begins_with_the_same_network_and_computes_nearly_the_same(build, algorithm):
    experiments = {precision: build(algorithm, precision=precision, engine="vmap") for precision in PRECISIONS}
    exact, single, half = (experiments[name] for name in ("float64", "float32", "bf16"))
    outputs = {}
    for name, experiment in experiments.items():
        for key, value in experiment.algorithm.meta.items():
            assert torch.equal(value.float(), single.algorithm.meta[key])
        episodes = experiment.episodes("val", 0, 4, experiment.spec.protocol)
        (before, *_) = experiment.algorithm.adaptation(episodes.support, episodes.keys)
        outputs[name] = before.predict(episodes.query.x, "transductive").double()
    reference = outputs["float64"].norm()
    assert (outputs["float32"] - outputs["float64"]).norm() < 1e-5 * reference
    assert 1e-4 * reference < (outputs["bf16"] - outputs["float64"]).norm() < 0.1 * reference
    assert exact.spec.hash != single.spec.hash != half.spec.hash


def test_the_reason_names_the_precisions_of_the_check(build):
    reasons = {precision: build(precision=precision).choice.reason for precision in PRECISIONS}
    assert reasons["bf16"].endswith("checked against the loop in float64 and bf16")
    assert reasons["float64"].endswith("checked against the loop in float64")


def test_the_precision_is_part_of_what_a_choice_of_engine_is_kept_for(build, tmp_path):
    facts = [
        speed_facts(build(precision=precision, engine="loop").spec, CPU, load_plugins()) for precision in PRECISIONS
    ]
    assert len({AutotuneCache(tmp_path, work).path for work in facts}) == len(PRECISIONS)


def test_a_network_that_cannot_be_run_so_is_refused_in_one_sentence(build):
    build(backbone="stubborn")
    for precision, dtype in (("bf16", "bfloat16"), ("float64", "float64")):
        with pytest.raises(ConfigError) as caught:
            build(backbone="stubborn", precision=precision)
        assert list(caught.value.problems) == [
            f"Backbone 'stubborn' cannot be run in {precision}: expected float32, not torch.{dtype}. "
            "Use --precision float32."
        ]


def test_a_method_whose_own_model_ignores_bf16_is_refused(build):
    build("own-model", precision="float64")
    with pytest.raises(ConfigError, match=r"model.with_head\(head\)"):
        build("own-model", precision="bf16")


def test_another_head_keeps_the_precision():
    network = StridedConv4(StridedConv4.Options(width=4)).build((1, 14, 14), 3)
    for bf16 in (True, False):
        model = with_cosines(mamlbench.api.Model(network, bf16=bf16), BaselinePlusPlus.Options())
        assert model.bf16 is bf16


@pytest.mark.parametrize("width", [2**40, 2**63 - 1])
def test_a_network_that_fits_into_no_memory_is_a_setting_to_change(plugins, width):
    (spec,) = plan(RunRequest(algorithms=("maml",), dataset="toy", ways=3, options={"backbone.width": width}), plugins)
    build = model_builder(spec, plugins, (1, 14, 14))
    with pytest.raises(ConfigError, match=f"'conv4-strided' .width={width}.* is too large for this machine"):
        build(3)

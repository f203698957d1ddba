"""The paper presets have what the papers and their code say, and each can be planned."""

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.run_spec import RunRequest
from mamlbench.runner.plan import plan

PLUGINS = load_plugins()
NAMES = [entry.name for entry in PLUGINS.registry.entries("algorithm") if entry.origin == "mamlbench"]
PAPER = [
    (name, preset)
    for name in NAMES
    for preset in PLUGINS.registry.load("algorithm", name).presets
    if preset.name.startswith("paper")
]


def planned(name, dataset, ways, shots, preset="paper"):
    ways = None if dataset == "sinusoid" else ways
    request = RunRequest(algorithms=(name,), dataset=dataset, ways=ways, shots=shots, preset=preset, device="cpu")
    (spec,) = plan(request, PLUGINS)
    return spec


@pytest.mark.parametrize(
    ("name", "preset"), PAPER, ids=[f"{n}-{p.name}-{p.dataset}-{p.ways}-{p.shots}" for n, p in PAPER]
)
def test_it_can_be_planned(name, preset):
    spec = planned(name, preset.dataset, preset.ways or 5, preset.shots or 5, preset.name)
    assert spec.training.iterations == preset.iterations and spec.preset == preset.name
    chosen = spec.backbone.options.items() >= preset.backbone_options.items()
    assert chosen, "its backbone takes the options that the preset has for it"


@pytest.mark.parametrize(
    ("ways", "shots", "inner", "batch"),
    [(5, 1, (0.4, 1, 3), 32), (5, 5, (0.4, 1, 3), 32), (20, 1, (0.1, 5, 5), 16), (20, 5, (0.1, 5, 5), 16)],
)
@pytest.mark.parametrize("name", ["maml", "fomaml", "anil"])
def test_maml_on_omniglot_is_that_of_finn_2017(name, ways, shots, inner, batch):
    """Appendix A.1; its code: as many queries as shots, N(0, 1) in the head, 200,000 tasks, the last model."""
    spec = planned(name, "omniglot", ways, shots)
    options = spec.algorithm.options
    assert (options["inner_lr"], options["train_steps"], options["test_steps"]) == inner
    assert (options["loss_reduction"], options["outer_lr"], options["clip"]) == ("per-shot", 0.001, None)
    assert spec.training.queries == spec.protocol.queries == shots
    assert (spec.training.meta_batch_size, spec.training.iterations, spec.training.validate_every) == (
        batch,
        60_000,
        60_000,
    )
    assert (spec.sampler.name, spec.sampler.options["tasks"]) == ("fixed-pool", 200_000)
    assert spec.dataset.options["resampling"] == "nearest" and spec.dataset.options["rotations"] == "episode"
    expected = {"width": 64, "pooling": "mean", "scale": False, "eps": 1e-3, "init": "xavier", "head_init": "normal"}
    assert (spec.backbone.name, spec.backbone.options) == ("conv4-strided", expected)


@pytest.mark.parametrize(("shots", "batch"), [(1, 4), (5, 2)])
def test_maml_on_miniimagenet_is_that_of_finn_2017(shots, batch):
    spec = planned("maml", "miniimagenet", 5, shots)
    assert (spec.training.queries, spec.protocol.queries, spec.training.meta_batch_size) == (15, shots, batch)
    assert spec.algorithm.options["clip"] == 10.0 and spec.algorithm.options["inner_lr"] == 0.01
    assert spec.backbone.options["width"] == 32 and spec.backbone.options["head_init"] == "xavier"


@pytest.mark.parametrize(("preset", "rate"), [("paper", 0.01), ("paper-usage", 0.001)])
def test_sinusoids_are_trained_on_ten_points_and_tested_on_five(preset, rate):
    spec = planned("maml", "sinusoid", 1, 5, preset)
    training = spec.training
    assert (training.iterations, training.meta_batch_size, training.shots, training.queries) == (70_000, 25, 10, 10)
    assert (spec.protocol.shots, spec.algorithm.options["inner_lr"]) == (5, rate)
    assert spec.backbone.options == {"hidden": [40, 40], "norm": False, "eps": 1e-5, "init": "truncated"}


@pytest.mark.parametrize(
    ("dataset", "ways", "shots", "inner", "test_batch"),
    [
        ("omniglot", 5, 1, (0.001, 5, 10), 5),
        ("omniglot", 5, 5, (0.001, 5, 10), 5),
        ("omniglot", 20, 5, (0.0005, 10, 20), 10),
        ("miniimagenet", 5, 1, (0.001, 8, 10), 5),
        ("miniimagenet", 5, 5, (0.001, 8, 10), 15),
    ],
)
def test_reptile_is_that_of_its_authors_commands(dataset, ways, shots, inner, test_batch):
    spec = planned("reptile", dataset, ways, shots)
    options = spec.algorithm.options
    assert (options["inner_lr"], options["train_steps"], options["inner_batch_size"]) == inner
    assert (options["test_steps"], options["test_batch_size"]) == (50, test_batch)
    assert (spec.protocol.modes, spec.protocol.test_episodes) == (("support+query", "transductive"), 10_000)
    assert spec.backbone.options["scale"] and spec.backbone.options["eps"] == 1e-3
    assert spec.backbone.options["pooling"] == "flatten"
    assert spec.backbone.options.get("border", "same") == "same"
    assert dataset != "omniglot" or spec.dataset.options["polarity"] == 0


@pytest.mark.parametrize("name", ["pretrain", "baseline++", "protonet"])
@pytest.mark.parametrize("shots", [1, 5])
def test_what_torchs_eval_tested_is_tested_with_running_statistics(name, shots):
    spec = planned(name, "miniimagenet", 5, shots)
    assert spec.protocol.modes == ("running",) and spec.protocol.queries == 15
    assert spec.backbone.options["scale"] and spec.backbone.options["width"] == 64
    if name == "protonet":
        assert spec.training.ways == (30 if shots == 1 else 20) and spec.algorithm.options["halve_every"] == 2000
    else:
        assert spec.algorithm.options["test_steps"] == (200 if shots == 1 else 700)
        assert spec.training.iterations == 400 * 38_400 // 16


SGD = {"outer_optimizer": "sgd", "outer_momentum": 0.9, "outer_weight_decay": 0.0005}
FURTHER = [
    # method, data set, shots; iterations, batch, queries in training and in test; mode; options
    ("r2d2", "miniimagenet", 5, (20_000, 1, 10, 15), "running", {"ridge": 50.0, "scale": 1e-4, "outer_lr": 0.005}),
    ("r2d2", "omniglot", 5, (20_000, 1, 5, 15), "running", {"ridge": 50.0, "scale": 10.0, "halve_every": 2000}),
    ("metaoptnet", "miniimagenet", 1, (60_000, 8, 6, 15), "running", {**SGD, "outer_lr": 0.1, "smoothing": 0.1}),
    ("metaoptnet", "cifar-fs", 1, (60_000, 8, 6, 15), "running", {**SGD, "cost": 0.1, "smoothing": 0.0}),
    ("boil", "miniimagenet", 1, (30_000, 4, 15, 15), "transductive", {"inner_lr": 0.5, "train_steps": 1}),
    ("cavia", "miniimagenet", 1, (60_000, 16, 15, 15), "transductive", {"context_size": 100, "inner_lr": 1.0}),
    ("sign-maml", "miniimagenet", 1, (60_000, 8, 1, 1), "transductive", {"inner_lr": 0.0035, "test_steps": 10}),
    ("unicorn-maml", "miniimagenet", 5, (10_000, 1, 15, 15), "running", {**SGD, "train_steps": 20, "temperature": 0.5}),
    ("meta-curvature", "omniglot", 1, (60_000, 32, 1, 1), "transductive", {"inner_lr": 0.4, "train_steps": 1}),
    ("sharp-maml", "miniimagenet", 1, (60_000, 4, 15, 15), "transductive", {"inner_radius": 5e-4, "adapt_norm": False}),
    ("proto-maml", "miniimagenet", 5, (75_000, 1, 10, 10), "inductive", {"train_steps": 6, "adapt_norm": False}),
    ("meta-baseline", "miniimagenet", 1, (4000, 4, 15, 15), "running", {**SGD, "outer_lr": 0.001, "scale": 10.0}),
    ("matching-networks", "miniimagenet", 5, (40_000, 1, 16, 15), "running", {"scale": 100.0, "outer_lr": 0.001}),
]


@pytest.mark.parametrize("facts", FURTHER, ids=lambda facts: f"{facts[0]}-{facts[1]}")
def test_the_further_methods_have_what_their_authors_code_has(facts):
    name, dataset, shots, numbers, mode, options = facts
    spec = planned(name, dataset, 5, shots)
    training, protocol = spec.training, spec.protocol
    assert (training.iterations, training.meta_batch_size, training.queries, protocol.queries) == numbers
    assert protocol.modes[0] == mode
    assert spec.algorithm.options.items() >= {key: value for key, value in options.items() if value}.items()
    assert not any(spec.algorithm.options.get(key) for key, value in options.items() if not value)


@pytest.mark.parametrize(
    ("name", "iterations", "batch", "options"),
    [
        ("simpleshot", 13_500, 256, {"outer_lr": 0.1, "outer_weight_decay": 0.0001, "transform": "CL2N"}),
        ("linear-probe", 60_000, 64, {"outer_lr": 0.05, "outer_weight_decay": 0.0005, "inverse_penalty": 1.0}),
    ],
)
def test_pretraining_of_the_further_methods_is_as_long_as_there(name, iterations, batch, options):
    spec = planned(name, "miniimagenet", 5, 1)
    assert (spec.training.iterations, spec.training.meta_batch_size) == (iterations, batch)
    assert spec.algorithm.options.items() >= {**options, "outer_optimizer": "sgd", "outer_momentum": 0.9}.items()

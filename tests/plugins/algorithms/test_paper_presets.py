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

"""ResNet-12 with DropBlock: noise in training only, the same with every engine."""

import json

import pytest
import torch

from mamlbench.api import DropBlock, Dropout, Model, noise_key_scope
from mamlbench.engine import CompiledEngine, LoopEngine, VmapEngine
from mamlbench.errors import ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.plan import plan

SHAPE = (1, 16, 16)
ENGINES = [VmapEngine(), VmapEngine(chunk=1), VmapEngine(0, "remat"), LoopEngine("remat")]
METHODS = {"maml": {"inner_lr": 0.01, "train_steps": 2}, "fomaml": {"inner_lr": 0.01}, "reptile": {"train_steps": 2}}


def resnet12(**options):
    plugin = load_plugins().registry.load("backbone", "resnet12")
    return plugin(plugin.Options(**{"width": 4, "drop_block": 0.2, **options}))


def network(**options):
    torch.manual_seed(0)
    return resnet12(**options).build(SHAPE, 3).double()


@pytest.fixture
def update(make_algorithm, make_batch):
    def update(name, engine, key=1):
        algorithm = make_algorithm(name, engine, backbone=resnet12(), shape=SHAPE, **METHODS[name])
        with noise_key_scope(key):
            return algorithm.compute_update(make_batch(tasks=2, ways=2, shape=SHAPE)).sums

    return update


def test_noise_layers_are_those_of_the_original_code():
    noise = [[*block.out][2:] for block in network().features[:4]]
    assert [[type(layer) for layer in layers] for layers in noise] == [[Dropout], [Dropout], [DropBlock], [DropBlock]]
    assert all(layer.rate == 0.2 for (layer,) in noise) and noise[3][0].size == 5
    assert not Model(network(drop_block=0)).noisy and Model(network()).noisy


def test_outside_training_parameters_and_outputs_are_those_without_noise():
    x = torch.rand(4, *SHAPE, dtype=torch.float64)
    with_noise, without = network(), network(drop_block=0)
    assert with_noise.state_dict().keys() == without.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(with_noise(x), without(x))
        with noise_key_scope(1):
            assert not torch.equal(with_noise(x), without(x))


@pytest.mark.parametrize("name", METHODS)
def test_every_engine_computes_the_loops_update(update, name):
    reference = update(name, LoopEngine())
    for engine in ENGINES:
        for key, value in update(name, engine).items():
            error = float((value - reference[key]).norm())
            assert error <= 1e-9 * float(reference[key].norm()), (engine.name, key)


def test_another_iteration_has_another_update(update):
    first, second = (update("maml", VmapEngine(), key) for key in (1, 2))
    assert not any(torch.equal(first[name], second[name]) for name in first)


def test_the_compiled_engine_refuses_it_with_a_reason(update):
    with pytest.raises(RuntimeError, match="noise in training cannot be compiled"):
        update("fomaml", CompiledEngine())


def test_a_layer_refuses_to_be_compiled_in_or_out_of_training():
    compiled = torch.compile(Dropout(0.5), fullgraph=True, backend="eager")
    with pytest.raises(torch._dynamo.exc.Unsupported, match="noise in training cannot be compiled"):
        compiled(torch.ones(3, 2))


@pytest.fixture
def larger_toy(toy_plugin, tmp_path):
    """The toy data set in a size that survives four poolings."""
    path = tmp_path / "larger.py"
    path.write_text(toy_plugin.read_text().replace("14, 14", "16, 16"))
    return path


@pytest.fixture
def make_experiment(larger_toy, tmp_path):
    plugins = load_plugins([larger_toy])

    def make(rate=0.3, **settings):
        small = {"meta_batch_size": 2, "ways": 3, "queries": 1, "iterations": 3, "engine": "vmap", **settings}
        options = {"backbone.width": 4, "backbone.drop_block": rate}
        request = RunRequest(algorithms=("fomaml",), dataset="toy", backbone="resnet12", options=options, **small)
        (spec,) = plan(request, plugins)
        dataset = load_dataset(spec, plugins, Folders(results=tmp_path, cache=tmp_path, data=()))
        return build_experiment(spec, plugins, dataset, tmp_path)

    return make


def sums(experiment, iteration, batch):
    return torch.cat([value.flatten() for value in experiment.compute_update(iteration, batch).sums.values()])


def test_iteration_and_seed_decide_the_noise(make_experiment):
    experiment, again, other = make_experiment(), make_experiment(), make_experiment(seed=5)
    batch, start = experiment.training_batch(0), experiment.algorithm.state()
    other.algorithm.load_state(start)
    first = sums(experiment, 0, batch)
    assert not torch.equal(sums(experiment, 1, batch), first)
    assert torch.equal(sums(again, 0, batch), first), "independent of earlier updates"
    assert not torch.equal(sums(other, 0, batch), first)


def test_adaptation_after_training_is_not_noisy(make_experiment):
    noisy, quiet = make_experiment(), make_experiment(rate=0)
    episodes = noisy.sampler.episodes("val", 0, 2, shots=1, queries=2)
    for mode in ("transductive", "inductive"):
        with_noise, without = (
            experiment.algorithm.adapt(episodes.support, episodes.keys).predict(episodes.query.x, mode)
            for experiment in (noisy, quiet)
        )
        assert torch.equal(with_noise, without)


def test_the_check_of_the_engine_runs_with_noise(make_experiment, monkeypatch):
    dtypes = []
    monkeypatch.setattr(Dropout, "noisy", lambda self, x, key: dtypes.append(x.dtype) or x)
    assert "checked against the loop in float64 and float32" in make_experiment(engine="auto").choice.reason
    assert set(dtypes) == {torch.float32, torch.float64}


@pytest.mark.slow
def test_the_command_line_trains_with_it(call, larger_toy, tmp_path):
    settings = [
        "--plugin",
        str(larger_toy),
        "--dataset",
        "toy",
        "--ways",
        "3",
        "--queries",
        "2",
        "--meta-batch-size",
        "2",
        "--iterations",
        "3",
        "--test-episodes",
        "10",
        "--validation-episodes",
        "5",
        "--backbone",
        "resnet12",
        "-o",
        "backbone.width=4",
        "-o",
        "train_steps=1",
        "--engine",
        "vmap",
        "-q",
    ]

    def run(folder, rate):
        results = tmp_path / folder
        code, _, stderr = call(
            "run", "--algo", "maml", *settings, "-o", f"backbone.drop_block={rate}", "--results-dir", str(results)
        )
        assert code == ExitCode.OK, stderr
        (path,) = results.glob("*.json")
        record = json.loads(path.read_text())
        losses = [point["loss"] for point in record["curve"] if point.get("loss") is not None]
        return losses, record["test"]["metrics"]["accuracy"]["modes"]["transductive"]["untrained"]

    noisy, again, quiet = run("noisy", 0.3), run("again", 0.3), run("quiet", 0)
    assert noisy == again
    assert noisy[0] != quiet[0] and noisy[1] == quiet[1]


@pytest.mark.parametrize("rate", ["1", "-0.1"])
def test_a_rate_outside_0_to_1_is_refused(call, larger_toy, rate):
    code, _, stderr = call(
        "run",
        "--algo",
        "maml",
        "--plugin",
        str(larger_toy),
        "--dataset",
        "toy",
        "--ways",
        "3",
        "--backbone",
        "resnet12",
        "-o",
        f"backbone.drop_block={rate}",
    )
    assert code == ExitCode.USAGE and "drop_block" in stderr

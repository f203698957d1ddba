"""What every built-in algorithm promises."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from pydantic import Field, ValidationError

from mamlbench.api import Examples
from mamlbench.cli.main import main
from mamlbench.plugin import load_plugins
from mamlbench.record import read_record
from mamlbench_plugins.algorithms.maml import MAML, MAMLOptions

BUILT_IN = {
    entry.name: entry
    for entry in load_plugins().registry.entries("algorithm")
    if entry.origin == "mamlbench" and "classification" in entry.load().kinds
}
NAMES = list(BUILT_IN)
EPISODIC = [name for name, entry in BUILT_IN.items() if entry.load().trains_on == "episodes"]


def training_batch(algorithm, make_batch):
    if algorithm.trains_on == "episodes":
        return make_batch()
    batch = make_batch(tasks=3)
    return Examples(batch.support.x.flatten(0, 1), torch.arange(18) % 7)


@pytest.mark.parametrize("name", NAMES)
def test_computing_an_update_and_adapting_change_nothing(make_algorithm, make_batch, name):
    algorithm, batch = make_algorithm(name), make_batch()
    before = {key: value.clone() for key, value in algorithm.state().items()}
    algorithm.compute_update(training_batch(algorithm, make_batch))
    algorithm.adapt(batch.support, batch.keys)
    after = algorithm.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", NAMES)
def test_state_round_trips_bit_for_bit(make_algorithm, make_batch, name):
    first, second = make_algorithm(name), make_algorithm(name)
    batch = training_batch(first, make_batch)
    for _ in range(3):
        first.apply(first.compute_update(batch))
    second.load_state({key: value.clone() for key, value in first.state().items()})
    for algorithm in (first, second):
        for _ in range(2):
            algorithm.apply(algorithm.compute_update(batch))
    ours, theirs = first.state(), second.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss_on_one_batch(make_algorithm, make_batch, name):
    rate = {"inner_lr": 0.01} if name == "reptile" else {"outer_lr": 0.01}
    algorithm = make_algorithm(name, iterations=40, **rate)
    batch = training_batch(algorithm, make_batch)
    losses = []
    for _ in range(30):
        update = algorithm.compute_update(batch)
        losses.append(float(update.loss) / update.count)
        algorithm.apply(update)
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", EPISODIC)  # batch norm ties a pretraining minibatch together
def test_updates_of_halves_add_up(make_algorithm, make_batch, name):
    algorithm = make_algorithm(name)
    batch = training_batch(algorithm, make_batch)
    whole = algorithm.compute_update(batch)
    halves = [
        algorithm.compute_update(type(batch)(*(type(part)(*(t[s] for t in part)) for part in batch[:2]), batch.keys[s]))
        for s in (slice(0, 2), slice(2, 4))
    ]
    added = halves[0] + halves[1]
    assert added.count == whole.count
    for key, value in whole.sums.items():
        torch.testing.assert_close(added.sums[key], value, rtol=1e-9, atol=1e-12)


INNER = {"inner_lr", "train_steps", "test_steps"}
OUTER = {"outer_optimizer", "outer_lr", "outer_schedule", "halve_every", "clip", "outer_momentum", "outer_weight_decay"}
SUPPORT_HEAD = OUTER | {"joint_norm"}
FINETUNING = {"finetune", "test_steps", "finetune_lr", "finetune_batch", "momentum", "dampening", "weight_decay"}
OPTIONS = {
    "maml": INNER | OUTER | {"loss_reduction", "adapt_norm"},
    "fomaml": INNER | OUTER | {"loss_reduction", "adapt_norm"},
    "anil": INNER | OUTER | {"loss_reduction"},
    "meta-sgd": INNER | OUTER | {"loss_reduction", "adapt_norm"},
    "maml++": INNER
    | OUTER
    | {"loss_reduction", "learned_rates", "per_step_norm", "multi_step_fraction", "first_order_fraction"},
    "imaml": INNER | OUTER | {"prox_strength", "cg_steps"},
    "reptile": INNER | {"inner_batch_size", "test_batch_size", "outer_lr", "outer_schedule", "inner_optimizer_state"},
    "boil": INNER | OUTER | {"loss_reduction", "adapt_norm"},
    "sign-maml": INNER | OUTER | {"loss_reduction", "adapt_norm"},
    "meta-curvature": INNER | OUTER | {"loss_reduction", "adapt_norm"},
    "sharp-maml": INNER | OUTER | {"loss_reduction", "adapt_norm", "inner_radius", "outer_radius"},
    "unicorn-maml": INNER | OUTER | {"adapt_norm", "temperature"},
    "proto-maml": INNER | OUTER | {"adapt_norm"},
    "cavia": INNER | OUTER | {"context_size"},
    "protonet": SUPPORT_HEAD,
    "r2d2": SUPPORT_HEAD | {"ridge", "learned_ridge", "scale"},
    "metaoptnet": SUPPORT_HEAD | {"learner", "cost", "ridge", "solver_steps", "smoothing"},
    "meta-baseline": SUPPORT_HEAD | {"scale"},
    "matching-networks": SUPPORT_HEAD | {"scale"},
    "simpleshot": OUTER | {"transform"},
    "linear-probe": OUTER | {"inverse_penalty", "test_steps"},
    "logistic": OUTER | {"inverse_penalty", "test_steps"},
    "nearest-neighbor": SUPPORT_HEAD | {"scale"},
    "finetune": OUTER | FINETUNING,
    "pretrain": OUTER | FINETUNING,
    "baseline++": OUTER | FINETUNING | {"temperature"},
}


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_exactly_the_options_that_it_uses(name, make_algorithm):
    """That each of them changes a number, the contract kit shows (tests/testing/test_mutants.py)."""
    assert set(type(make_algorithm(name)).Options.model_fields) == OPTIONS[name]


@pytest.mark.parametrize("name", ["fomaml", "anil", "meta-sgd", "maml++"])
def test_an_option_of_mamls_step_is_refused_by_a_method_with_a_step_of_its_own(name, make_algorithm, monkeypatch):
    class WithDecay(MAMLOptions):
        inner_decay: float = Field(0.0, description="an option that somebody adds to MAML")

    monkeypatch.setattr(MAML, "Options", WithDecay)
    options = {"inner_decay": 0.1}
    assert WithDecay(**options).inner_decay == 0.1
    plugin = load_plugins().registry.load("algorithm", name)
    if plugin.step is MAML.step:
        assert plugin.Options(**options).inner_decay == 0.1, "it takes MAML's step, so it takes its options"
    else:
        with pytest.raises(ValidationError, match="inner_decay"):
            plugin.Options(**options)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_described(name, make_algorithm):
    options = type(make_algorithm(name)).Options
    assert all(field.description for field in options.model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_names_its_source_and_is_valid(name, make_algorithm):
    plugin = type(make_algorithm(name))
    published = set() if name == "nearest-neighbor" else {"paper"}
    assert {"quick", *published} <= {preset.name for preset in plugin.presets}
    for preset in plugin.presets:
        assert preset.source
        plugin.Options(**preset.options)


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_read_beside_its_paper(name):
    file = find_spec(BUILT_IN[name].load().__module__).origin
    assert len(Path(file).read_text(encoding="utf-8").splitlines()) < 170


@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_runs_it(tmp_path, toy_plugin, name):
    arguments = ["run", "--algo", name, "--plugin", str(toy_plugin), "--results-dir", str(tmp_path), "--dataset", "toy"]
    tiny = ["--ways", "3", "--test-episodes", "20", "--validation-episodes", "10", "--iterations", "4"]
    assert main([*arguments, *tiny, "--meta-batch-size", "4", "-o", "backbone.width=8", "-q"]) == 0
    (path,) = tmp_path.glob("*.json")
    record = read_record(path)
    assert record.status == "finished" and record.engine["name"] == "vmap", record.engine
    assert set(record.test.modes) == {"transductive", "inductive"}

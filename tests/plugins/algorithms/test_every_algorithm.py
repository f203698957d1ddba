"""What every built-in algorithm promises."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mamlbench.api import Examples
from mamlbench.cli.main import main
from mamlbench.record import read_record

EPISODIC = ["maml", "fomaml", "reptile", "anil", "meta-sgd", "maml++", "imaml", "protonet"]
NAMES = [*EPISODIC, "pretrain", "baseline++"]


def training_batch(algorithm, make_batch):
    if algorithm.trains_on == "episodes":
        return make_batch()
    batch = make_batch(tasks=3)
    return Examples(batch.support.x.flatten(0, 1), torch.arange(18) % 7)


@pytest.mark.parametrize("name", NAMES)
def test_direction_and_adaptation_change_nothing(make_algorithm, make_batch, name):
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
        direction = algorithm.compute_update(batch)
        losses.append(float(direction.loss) / direction.count)
        algorithm.apply(direction)
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", EPISODIC)  # batch norm ties a pretraining minibatch together
def test_directions_of_halves_add_up(make_algorithm, make_batch, name):
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


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_described(name, make_algorithm):
    options = type(make_algorithm(name)).Options
    assert all(field.description for field in options.model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_names_its_source_and_is_valid(name, make_algorithm):
    plugin = type(make_algorithm(name))
    assert {"quick", "paper"} <= {preset.name for preset in plugin.presets}
    for preset in plugin.presets:
        assert preset.source
        plugin.Options(**preset.options)


@pytest.mark.parametrize("name", ["anil", "meta_sgd", "maml_plus_plus", "protonet", "baseline_plus_plus", "imaml"])
def test_it_can_be_read_beside_its_paper(name):
    file = find_spec(f"mamlbench_plugins.algorithms.{name}").origin
    assert len(Path(file).read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_runs_it(tmp_path, toy_plugin, name):
    arguments = ["run", "--algo", name, "--plugin", str(toy_plugin), "--results-dir", str(tmp_path), "--dataset", "toy"]
    tiny = ["--ways", "3", "--test-episodes", "20", "--validation-episodes", "10", "--iterations", "4"]
    assert main([*arguments, *tiny, "--meta-batch-size", "4", "-o", "backbone.width=8", "-q"]) == 0
    (path,) = tmp_path.glob("*.json")
    record = read_record(path)
    assert record.status == "finished" and record.engine["name"] == "vmap", record.engine
    assert set(record.test.modes) == {"transductive", "inductive"}

"""What the harness asks of every algorithm."""

import pytest
import torch

from mamlbench.cli.main import main
from mamlbench.plugin import load_plugins
from mamlbench.record import read_record
from mamlbench_plugins.optional_packages import LEARN2LEARN

pytestmark = pytest.mark.usefixtures("needs_learn2learn")
NAMES = ["l2l-maml", "l2l-fomaml", "l2l-metasgd", "l2l-anil", "l2l-reptile"]


def test_the_entry_point_registers_all_of_them():
    assert set(NAMES) <= set(load_plugins().registry.names("algorithm"))


def test_mamlbench_knows_of_every_name_if_the_package_is_missing():
    ours = {entry.name for entry in load_plugins().registry.entries() if entry.origin == "mamlbench-learn2learn"}
    assert ours == set(LEARN2LEARN)


@pytest.mark.parametrize("name", NAMES)
def test_computing_an_update_and_adapting_change_nothing(make_algorithm, make_batch, name):
    algorithm, batch = make_algorithm(name), make_batch()
    before = {key: value.clone() for key, value in algorithm.state().items()}
    algorithm.compute_update(batch)
    algorithm.adapt(batch.support, batch.keys)
    after = algorithm.state()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", NAMES)
def test_state_round_trips_bit_for_bit(make_algorithm, make_batch, name):
    first, second = make_algorithm(name), make_algorithm(name)
    for _ in range(2):
        first.apply(first.compute_update(make_batch()))
    assert any(not torch.equal(value, second.meta[key]) for key, value in first.meta.items())
    second.load_state({key: value.clone() for key, value in first.state().items()})
    for algorithm in (first, second):
        algorithm.apply(algorithm.compute_update(make_batch(seed=2)))
    ours, theirs = first.state(), second.state()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_trains_and_tests_it(tmp_path, name):
    tiny = ["--dataset", "glyphs", "--iterations", "3", "--meta-batch-size", "2", "--test-episodes", "20"]
    small = ["--validation-episodes", "10", "-o", "backbone.width=4", "-o", "test_steps=2", "-q"]
    assert main(["run", "--algo", name, "--results-dir", str(tmp_path), *tiny, *small]) == 0
    (path,) = tmp_path.glob("*.json")
    record = read_record(path)
    assert record.status == "finished" and len(record.test.score_after_step) == 3


def test_every_option_and_preset_is_described():
    for name in NAMES:
        plugin = load_plugins().registry.load("algorithm", name)
        assert all(field.description for field in plugin.Options.model_fields.values())
        for preset in plugin.presets:
            assert preset.source
            plugin.Options(**preset.options)

"""A model on disk: what is written, and every way to name it."""

import json
import random

import numpy as np
import pytest
import torch
from toy_record import make_spec, tiny_record

from mamlbench.errors import ConfigError
from mamlbench.record import ResultStore, TrainingData
from mamlbench.record.training_data import TrainingHashes
from mamlbench.runner.checkpointer import Checkpointer, random_states, restore_random_states
from mamlbench.runner.checkpoints import clone, load_model, save_model
from mamlbench.runner.datasets.seen_test_data import TrainedOn
from mamlbench.runner.meter import Meter
from mamlbench.runner.tree_file import DamagedFileError

STATE = {"theta": torch.arange(6.0).view(2, 3), "rate": torch.tensor(0.5)}
HASHES = TrainingHashes(
    np.array([1, 2], np.uint64), np.array([3, 4], np.uint64), np.array([1, 2]), np.array([5, 6, 7], np.uint64)
)
TRAINED = TrainedOn(TrainingData(file="", sha256="", dataset="toy", classes=2, images=3), HASHES)
CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path)


@pytest.fixture
def checkpointer(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return Checkpointer(folder, Meter(CPU), about={"spec": make_spec().model_dump(mode="json")})


def write_run(store, checkpointer):
    """A run that has finished: its record, its model and the hashes of its training data."""
    checkpointer.keep_hashes(TRAINED)
    save_model(store.folder / "run", make_spec(), 7, STATE, checkpointer.training_data)
    store.write("run", tiny_record().model_copy(update={"model": "run/model.json"}))


@pytest.mark.parametrize("name", ["run", "run/model.json", "run/model.safetensors", "run.json"])
def test_a_model_is_found_by_its_folder_its_files_and_its_record(store, checkpointer, name):
    write_run(store, checkpointer)
    model = load_model(store.folder / name)
    assert (model.spec, model.iteration) == (make_spec(), 7)
    assert model.state.keys() == STATE.keys()
    assert all(torch.equal(model.state[key], STATE[key]) for key in STATE)
    assert model.trained_on.data == checkpointer.training_data.model_copy(update={"file": "training-data.npz"})
    np.testing.assert_array_equal(model.trained_on.hashes.images, HASHES.images)


def test_the_file_of_a_model_is_readable_json(store, checkpointer):
    write_run(store, checkpointer)
    text = (store.folder / "run" / "model.json").read_text()
    assert len(text.splitlines()) > 10 and json.loads(text)["training_data"]["file"] == "training-data.npz"


@pytest.mark.parametrize("name", ["nothing", "nothing.json", "nothing.safetensors", "notes.txt"])
def test_what_is_no_model_is_named(store, checkpointer, name):
    (store.folder / "notes.txt").write_text("text")
    with pytest.raises(ConfigError, match=r"is no model at|is not a model that can be read"):
        load_model(store.folder / name)


def test_a_record_without_a_model_says_how_its_run_ended(store):
    store.write("run", tiny_record().model_copy(update={"status": "failed", "reason": "no"}))
    with pytest.raises(ConfigError, match="left no model: it is failed"):
        load_model(store.folder / "run.json")


def test_a_model_that_does_not_say_what_it_was_trained_on_is_of_use(tmp_path):
    model = load_model(save_model(tmp_path, make_spec(), 1, STATE))
    assert model.trained_on == "its model does not say what it was trained on"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"file": "../elsewhere.npz", "sha256": 3}, "what 'model.json' says of its training data cannot be read"),
        ({"file": "gone.npz"}, "'gone.npz' cannot be read"),
    ],
    ids=["wrong", "gone"],
)
def test_training_data_that_cannot_be_read_are_unknown_with_the_reason(store, checkpointer, changed, reason):
    write_run(store, checkpointer)
    path = store.folder / "run" / "model.json"
    content = json.loads(path.read_text())
    content["training_data"] |= changed
    path.write_text(json.dumps(content))
    trained_on = load_model(path).trained_on
    assert isinstance(trained_on, str) and reason in trained_on


def test_a_checkpoint_is_a_model_too(checkpointer):
    """The parameters as they are in training, at the iteration that was reached."""
    checkpointer.keep_hashes(TRAINED)
    path = checkpointer.write({"iteration": 5}, {"state": STATE, "best": {"theta": torch.zeros(2, 3)}})
    model = load_model(path)
    assert model.iteration == 5 and torch.equal(model.state["theta"], STATE["theta"])
    assert model.trained_on.data.classes == 2


def test_hashes_of_training_data_are_named_relative_to_the_record(checkpointer):
    assert checkpointer.training_data is None
    checkpointer.keep_hashes(TRAINED)
    assert checkpointer.training_data.file == "run/training-data.npz"
    assert len(checkpointer.training_data.sha256) == 64 and checkpointer.training_data.dataset == "toy"


def test_a_copy_does_not_change_with_what_was_copied():
    state = {"theta": torch.zeros(2, requires_grad=True), "counts": [1, [2]]}
    copied = clone(state)
    with torch.no_grad():
        state["theta"] += 1
    state["counts"][1].append(3)
    assert copied["counts"] == [1, [2]]
    assert copied["theta"].tolist() == [0, 0] and not copied["theta"].requires_grad


def test_the_untrained_network_is_the_one_that_was_kept(checkpointer):
    checkpointer.keep_initial(STATE)
    same = clone(STATE)
    assert checkpointer.initial(same, CPU) is same
    other = checkpointer.initial({**STATE, "rate": torch.tensor(0.25)}, CPU)
    assert float(other["rate"]) == 0.5 and torch.equal(other["theta"], STATE["theta"])
    (path,) = (path for path in checkpointer.folder.iterdir() if path.suffix == ".safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DamagedFileError, match="SHA-256 differs"):
        checkpointer.initial({**STATE, "rate": torch.tensor(0.25)}, CPU)
    checkpointer.clear()
    assert not list(checkpointer.folder.iterdir())


def draws():
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_the_global_generators_go_on_where_they_were():
    states = random_states()
    assert states["cuda"] == [] or torch.cuda.is_initialized()
    expected = draws()
    for other in (draws(), draws()):
        assert all(one != two for one, two in zip(other, expected, strict=True))
    restore_random_states(states)
    assert draws() == expected
    restore_random_states(states)
    assert draws() == expected

"""Hashes of training data beside a model: written, read again, and unknown if they cannot be read."""

import hashlib

import numpy as np
import pytest

from mamlbench.record import TrainingData
from mamlbench.record.training_data import TrainingHashes, hash_class, hash_name, read_hashes, write_hashes

HASHES = TrainingHashes(
    names=np.array([1, 2**64 - 1], np.uint64),
    classes=np.array([3, 4], np.uint64),
    sizes=np.array([1, 2]),
    images=np.array([2**63, 7, 8], np.uint64),
)


@pytest.fixture
def written(tmp_path):
    """Hashes on disk, and what a model says of them."""
    name, sha256 = write_hashes(tmp_path, HASHES)
    return tmp_path / name, TrainingData(file=name, sha256=sha256, dataset="folder", classes=2, images=3)


def test_hashes_come_back(written):
    path, data = written
    hashes = read_hashes(path, data)
    for name in ("names", "classes", "sizes", "images"):
        np.testing.assert_array_equal(getattr(hashes, name), getattr(HASHES, name))
    assert path.name == "training-data.npz" and hashes.images.dtype == np.uint64


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sha256": "0" * 64}, "SHA-256 differs"),
        ({"classes": 3}, "other numbers of classes or images"),
        ({"images": 2}, "other numbers of classes or images"),
    ],
    ids=str,
)
def test_a_file_that_is_not_the_models_makes_its_past_unknown(written, changed, reason):
    path, data = written
    assert reason in read_hashes(path, data.model_copy(update=changed))


def test_a_file_that_is_lost_or_no_archive_makes_its_past_unknown(written):
    path, data = written
    path.unlink()
    assert "cannot be read" in read_hashes(path, data)
    path.write_bytes(b"text")
    digest = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
    assert "cannot be read" in read_hashes(path, data.model_copy(update={"sha256": digest}))


def test_sizes_that_do_not_add_up_make_its_past_unknown(tmp_path):
    name, sha256 = write_hashes(tmp_path, TrainingHashes(HASHES.names, HASHES.classes, np.array([3, 3]), HASHES.images))
    data = TrainingData(file=name, sha256=sha256, dataset="folder", classes=2, images=3)
    assert "do not add up" in read_hashes(tmp_path / name, data)


def test_a_name_has_one_hash_in_either_encoding_and_a_class_in_any_order():
    assert hash_name("caf\u00e9") == hash_name("cafe\u0301") != hash_name("cafe")
    images = np.array([5, 1, 9], np.uint64)
    assert hash_class(images) == hash_class(images[::-1]) != hash_class(images[:2])
    assert 0 <= hash_class(images) < 2**64


@pytest.mark.parametrize(("rotations", "outputs"), [("none", 2), ("episode", 2), ("classes", 8)])
def test_rotations_of_a_class_are_outputs_of_their_own(written, rotations, outputs):
    _, data = written
    assert data.model_copy(update={"rotations": rotations}).outputs == outputs


def test_hashes_are_the_same_on_every_machine():
    """They are compared with those of models from elsewhere: the first bytes of SHA-256, the lowest first."""
    assert hash_name("b") == int.from_bytes(hashlib.sha256(b"b").digest()[:8], "little")
    images = np.array([258, 1], np.uint64)
    content = (1).to_bytes(8, "little") + (258).to_bytes(8, "little")
    assert hash_class(images) == int.from_bytes(hashlib.sha256(content).digest()[:8], "little")

"""Omniglot as it is published: sizes, hashes and splits of the real files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_omniglot import image_split, load, names_of

from mamlbench_plugins.datasets.omniglot import Omniglot


@pytest.fixture(scope="module")
def real(shared_data: Path, real_cache: Path) -> Omniglot:
    return load(shared_data, real_cache)


def test_the_complete_set(real: Omniglot) -> None:
    assert real.subset is None
    assert {name: split.size for name, split in real.splits.items()} == {"train": 1100, "val": 100, "test": 423}
    assert len(set.union(*names_of(real).values())) == 1623
    assert all(set(np.diff(image_split(real, split).offsets)) == {20} for split in real.splits)
    assert {re.sub(r"\d\d$", "NN", name).split("/")[1] for name in image_split(real, "train").class_names} == {
        "characterNN"
    }


def test_the_hashes_never_change(real: Omniglot) -> None:
    """If one changes unintentionally, numbers cannot be compared; the first depends on the published files alone."""
    assert real.drawings_hash == "c8308fe01f0163cd5dd90910a484f5be62d616c1b91d2c725e84f06bcc153556"
    assert real.content_hash == "a09a5d5f587d6574debf2efb68c421ce57ed0e13d2d91b78c95f33462d3be567"


def test_the_published_evaluation_alphabets_are_the_test_split(
    real: Omniglot, shared_data: Path, real_cache: Path
) -> None:
    names = names_of(load(shared_data, real_cache, split="alphabets"))
    alphabets = {split: {name.split("/")[0] for name in classes} for split, classes in names.items()}
    assert {name: len(letters) for name, letters in alphabets.items()} == {"train": 25, "val": 5, "test": 20}
    assert len(set.union(*alphabets.values())) == 50
    assert len(names["test"]) == 659 and len(names["train"] | names["val"]) == 964


def test_ink_is_sparse(real: Omniglot) -> None:
    images = image_split(real, "train").images.float() / 255
    assert 0.03 < images.mean() < 0.15
    assert images.amax((1, 2, 3)).min() > 0.3, "a drawing vanished"


def test_a_second_start_opens_no_archive_and_hashes_no_image(
    real: Omniglot, shared_data: Path, real_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("zipfile.ZipFile.open", "PIL.Image.open", "mamlbench.data.image_cache._image_hash"):
        monkeypatch.setattr(name, lambda *arguments, **options: pytest.fail("not from the cache"))
    again = load(shared_data, real_cache)
    assert again.content_hash == real.content_hash
    assert torch.equal(image_split(again, "val").images[:3], image_split(real, "val").images[:3])

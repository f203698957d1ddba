from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mamlbench.api import PackedImages, packed_images
from mamlbench.errors import DataError


def some_images() -> PackedImages:
    images = torch.arange(5 * 4, dtype=torch.uint8).view(5, 1, 2, 2)
    return PackedImages(images, np.array([0, 2, 3, 5]), ("a", "b", "ç/1"), {"hash": "x"})


def refuse() -> PackedImages:
    pytest.fail("built again")


def assert_same(found: PackedImages, expected: PackedImages) -> None:
    assert torch.equal(found.images, expected.images)
    assert found.offsets.tolist() == expected.offsets.tolist()
    assert (found.class_names, found.facts) == (expected.class_names, expected.facts)


def test_built_once_then_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "set.safetensors"
    assert_same(packed_images(path, some_images), some_images())
    assert_same(packed_images(path, refuse), some_images())
    assert [each.name for each in path.parent.iterdir()] == ["set.safetensors"], "nothing temporary is left"


@pytest.mark.parametrize("content", [b"", b"not safetensors", None], ids=["empty", "foreign", "cut short"])
def test_a_damaged_file_is_built_again(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "set.safetensors"
    packed_images(path, some_images)
    path.write_bytes(path.read_bytes()[:-3] if content is None else content)
    assert_same(packed_images(path, some_images), some_images())
    assert_same(packed_images(path, refuse), some_images())


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> PackedImages:
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        packed_images(tmp_path / "set.safetensors", fail)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be kept in '.*file'.*MAMLBENCH_CACHE"):
        packed_images(tmp_path / "file" / "set.safetensors", some_images)


def test_select_takes_classes_in_the_given_order() -> None:
    packed = some_images()
    chosen = packed.select([2, 0])
    assert chosen.class_names == ("ç/1", "a")
    assert chosen.offsets.tolist() == [0, 2, 4]
    assert torch.equal(chosen.images, packed.images[[3, 4, 0, 1]])
    assert chosen.facts == packed.facts

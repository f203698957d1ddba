from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mamlbench.api import CachedImages, ImageSplit, ImageStream, cached_images, image_hashes, load_cached_images
from mamlbench.atomic_write import temporary_path
from mamlbench.errors import DataError

RunForked = Callable[[str], subprocess.CompletedProcess[str]]


def some_images() -> CachedImages:
    images = torch.arange(5 * 4, dtype=torch.uint8).view(5, 1, 2, 2)
    return CachedImages(images, np.array([0, 2, 3, 5]), ("a", "b", "ç/1"), {"hash": "x"})


def refuse() -> CachedImages:
    pytest.fail("built again")


def assert_same(actual: CachedImages, expected: CachedImages) -> None:
    assert torch.equal(actual.images, expected.images)
    assert actual.offsets.tolist() == expected.offsets.tolist()
    assert (actual.class_names, actual.metadata) == (expected.class_names, expected.metadata)


def test_built_once_then_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "set.safetensors"
    assert_same(cached_images(path, some_images), some_images())
    assert_same(cached_images(path, refuse), some_images())
    assert [file.name for file in path.parent.iterdir()] == ["set.safetensors"], "no temporary file is left"


@pytest.mark.parametrize("content", [b"", b"not safetensors", None], ids=["empty", "foreign", "cut short"])
def test_a_damaged_file_is_built_again(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "set.safetensors"
    cached_images(path, some_images)
    path.write_bytes(path.read_bytes()[:-3] if content is None else content)
    assert_same(cached_images(path, some_images), some_images())
    assert_same(cached_images(path, refuse), some_images())


@pytest.mark.slow
def test_one_wrong_bit_anywhere_is_found_when_the_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    cached_images(path, some_images)
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert load_cached_images(path) is None, f"bit {bit} of {8 * len(content)}"
    assert_same(cached_images(path, some_images), some_images())
    assert path.read_bytes() == content


def test_a_file_of_an_earlier_version_is_made_again_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, images = tmp_path / "set.safetensors", some_images()
    facts = {"class_names": json.dumps(images.class_names), "facts": json.dumps(images.metadata)}
    tensors = {"images": images.images, "offsets": torch.from_numpy(images.offsets), "hashes": torch.zeros(5, 16)}
    save_file(tensors, path, facts)
    assert load_cached_images(path) is None and not caplog.text
    assert_same(cached_images(path, some_images), images)


def test_damage_in_a_later_block_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mamlbench.data.image_cache.BLOCK_BYTES", 8)
    path = tmp_path / "set.safetensors"
    cached_images(path, some_images)
    content = bytearray(path.read_bytes())
    content[content.index(bytes(range(20))) + 17] ^= 64
    path.write_bytes(content)
    with caplog.at_level("WARNING"):
        assert_same(cached_images(path, some_images), some_images())
    # the header is block 0, four offsets are blocks 1 to 4
    assert "are damaged (block 7 of 18 differs from its checksum): making them again" in caplog.text


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> CachedImages:
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        cached_images(tmp_path / "set.safetensors", fail)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written to '.*file'.*MAMLBENCH_CACHE"):
        cached_images(tmp_path / "file" / "set.safetensors", some_images)


def test_select_keeps_the_order_of_classes_and_copies_nothing() -> None:
    cached = some_images()
    selected = cached.select([2, 0])
    assert selected.class_names == ("ç/1", "a")
    assert selected.offsets.tolist() == [0, 2, 4]
    assert selected.images is cached.images
    assert selected.starts is not None and selected.starts.tolist() == [3, 0]
    again = selected.select([1])
    assert again.class_names == ("a",) and again.starts is not None and again.starts.tolist() == [0]
    assert selected.metadata == cached.metadata


def test_a_selection_cannot_be_cached(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cache the whole set"):
        cached_images(tmp_path / "set.safetensors", lambda: some_images().select([0]))


# ------------------------------------------------------------------------------------------------------ streams


def stream(order: Iterable[int] = range(5), **changed: Any) -> ImageStream:
    whole = some_images()
    images = ((row, whole.images[row].numpy()) for row in order)
    return replace(ImageStream((1, 2, 2), whole.offsets, whole.class_names, whole.metadata, images), **changed)


@pytest.mark.parametrize("order", [range(5), [4, 0, 3, 1, 2]])
def test_a_stream_may_yield_its_rows_in_any_order(tmp_path: Path, order: list[int]) -> None:
    cached = cached_images(tmp_path / "set.safetensors", lambda: stream(order))
    assert_same(cached, some_images())
    assert cached.hashes is not None and (cached.hashes == image_hashes(some_images().images.numpy())).all()


def test_only_equal_images_have_equal_hashes() -> None:
    images = some_images().images.numpy()
    hashes = image_hashes([*images, images[3]])
    assert hashes.shape == (6, 16) and hashes.dtype == np.uint8
    assert len({image_hash.tobytes() for image_hash in hashes}) == 5
    assert (hashes[3] == hashes[5]).all()
    turned = np.ascontiguousarray(images[3].transpose(0, 2, 1)).transpose(0, 2, 1)
    assert (image_hashes([turned])[0] == hashes[3]).all(), "the hash does not depend on the memory layout"


def test_a_stream_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Iterator[tuple[int, Any]]:
        yield 0, some_images().images[0].numpy()
        raise DataError("damaged: x.jpg")

    with pytest.raises(DataError, match=r"^damaged: x\.jpg$"):
        cached_images(tmp_path / "set.safetensors", lambda: stream(images=fail()))
    assert not list(tmp_path.iterdir())


def test_an_incomplete_stream_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 of 5 images are missing"):
        cached_images(tmp_path / "set.safetensors", lambda: stream([0, 2, 4]))
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------- memory


def resident_bytes(path: Path) -> int:
    """Bytes of a mapped file that count as memory of this process."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        1024 * int(next(line for line in lines if line.startswith("Rss:")).split()[1])
        for head in lines
        if head.endswith(str(path))
    )


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system has no /proc/self/smaps")
def test_resident_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.safetensors"
    images = torch.randint(0, 256, (4000, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("mamlbench.data.image_cache.RESIDENT_BYTES", 1 << 19)
    split = ImageSplit.from_cached_images(
        cached_images(path, lambda: CachedImages(images, np.array([0, 2000, 4000]), ("a", "b"), {}))
    )
    assert torch.equal(split.images, images) and resident_bytes(path) >= images.nbytes, "all of it was read"
    for number in range(30):
        key = np.array([number], np.uint64)
        batch = split.episodes(key, 2, 5, 15)
        again = replace(split, images=images, mapped_file=None).episodes(key, 2, 5, 15)
        assert torch.equal(batch.query.x, again.query.x)
    assert resident_bytes(path) < images.nbytes / 2


# ------------------------------------------------------------------------------- interruption, concurrency, a full disk


def test_the_file_of_a_killed_preparation_is_removed_and_the_set_prepared_again(
    tmp_path: Path, run_forked: RunForked
) -> None:
    path = tmp_path / "set.safetensors"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_image_cache
from pathlib import Path
def images():
    yield 0, test_image_cache.some_images().images[0].numpy()
    os.kill(os.getpid(), signal.SIGKILL)
test_image_cache.cached_images(Path({str(path)!r}), lambda: test_image_cache.stream(images=images()))
"""
    process = run_forked(code)
    assert process.returncode == -signal.SIGKILL, process.stderr
    (temporary,) = tmp_path.iterdir()
    assert temporary.suffix == ".tmp", "no file has the final name"
    running = temporary_path(path)
    running.touch()
    os.utime(running, (0, 0))
    assert_same(cached_images(path, stream), some_images())
    assert {file.name for file in tmp_path.iterdir()} == {"set.safetensors", running.name}


def test_two_processes_may_prepare_at_once(tmp_path: Path, run_forked: RunForked) -> None:
    """The second starts and finishes while the first is writing."""
    path = tmp_path / "set.safetensors"
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_image_cache
from pathlib import Path
test_image_cache.cached_images(Path({str(path)!r}), test_image_cache.stream)
"""

    def images() -> Iterator[tuple[int, Any]]:
        for row in range(5):
            if row == 2:
                assert run_forked(code).returncode == 0
                assert_same(cached_images(path, refuse), some_images())
            yield row, some_images().images[row].numpy()

    assert_same(cached_images(path, lambda: stream(images=images())), some_images())
    assert_same(cached_images(path, refuse), some_images())
    assert [file.name for file in tmp_path.iterdir()] == ["set.safetensors"]


def test_a_full_disk_is_reported_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def images() -> Iterator[tuple[int, Any]]:
        pytest.fail("decoded")
        yield

    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"cannot be written to .* MB are needed and 0 MB are free.*free some space"):
        cached_images(tmp_path / "set.safetensors", lambda: stream(images=images()))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_disk_that_fills_up_is_a_clear_error(tmp_path: Path, run_forked: RunForked) -> None:
    """A limit on the size of files stands for the full disk."""
    code = f"""
import resource, sys
import numpy as np
from pathlib import Path
from mamlbench.api import ImageStream, cached_images
from mamlbench.errors import DataError
image = np.ones((3, 84, 84), np.uint8)
images = ((row, image) for row in range(50))
images_stream = ImageStream((3, 84, 84), np.array([0, 25, 50]), ("a", "b"), {{}}, images)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    cached_images(Path({str(tmp_path / "set.safetensors")!r}), lambda: images_stream)
except DataError as error:
    print(error)
"""
    process = run_forked(code)
    assert process.returncode == 0, process
    assert "cannot be written to" in process.stdout and "set MAMLBENCH_CACHE" in process.stdout, process
    assert not list(tmp_path.iterdir())

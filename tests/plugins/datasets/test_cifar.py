from __future__ import annotations

import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamlbench.api import SPLITS, DataPaths, ImageSplit, ProgressCallback
from mamlbench.errors import DataError, MissingDataError
from mamlbench_plugins.datasets import cifar, cifar_split
from mamlbench_plugins.datasets.cifar import CIFARFS, FC100

FINE = tuple(sorted(name for names in cifar_split.SUPERCLASSES.values() for name in names))
TRAIN, TEST = 3, 1
"""Images of each class in the two files."""


def content(per_class: int, seed: int) -> dict[str, Any]:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(100), per_class))
    pixels = np.random.default_rng(seed + 1).integers(0, 256, (len(labels), 3072), np.uint8)
    return {
        "filenames": [f"{n}.png" for n in labels],
        "fine_labels": labels.tolist(),
        "data": pixels,
        "coarse_labels": [0] * len(labels),
        "batch_label": f"batch {seed}",
    }


def write_folder(folder: Path, *, as_bytes: bool = False, **changed: Any) -> Path:
    """The published form: pickles of protocol 2 whose text was Python 2's."""
    folder.mkdir(parents=True)
    meta = {"fine_label_names": list(FINE), "coarse_label_names": list(cifar_split.SUPERCLASSES)}
    for name, data in {"train": content(TRAIN, 0), "test": content(TEST, 5), "meta": meta, **changed}.items():
        pickled = {key.encode(): value for key, value in data.items()} if as_bytes and isinstance(data, dict) else data
        (folder / name).write_bytes(pickle.dumps(pickled, 2))
    return folder


def write_tar(folder: Path) -> Path:
    write_folder(folder / "loose")
    with tarfile.open(folder / "cifar-100-python.tar.gz", "w:gz") as archive:
        archive.add(folder / "loose", "cifar-100-python")
    return folder


def paths(folder: Path) -> DataPaths:
    return DataPaths((("--data-dir", folder),), folder.parent / "cache", False)


def load(kind: type[CIFARFS], folder: Path) -> CIFARFS:
    return kind(kind.Options(), paths(folder))


def image_split(dataset: CIFARFS, name: str) -> ImageSplit:
    split = dataset.splits[name]
    assert isinstance(split, ImageSplit)
    return split


@pytest.mark.parametrize(
    ("published", "sizes"), [(cifar_split.CIFAR_FS, (64, 16, 20)), (cifar_split.FC100, (60, 20, 20))]
)
def test_the_published_splits_share_no_class_and_cover_cifar_100(published: Any, sizes: tuple[int, ...]) -> None:
    assert tuple(len(published[split]) for split in SPLITS) == sizes
    assert sorted(name for split in SPLITS for name in published[split]) == list(FINE)
    assert len(FINE) == len(set(FINE)) == 100 and len(cifar_split.SUPERCLASSES) == 20


def test_fc100_splits_by_superclass() -> None:
    assert [len(names) for names in (cifar_split.FC100_TRAIN, cifar_split.FC100_VAL, cifar_split.FC100_TEST)] == [
        12,
        4,
        4,
    ]
    for names in cifar_split.SUPERCLASSES.values():
        assert len(names) == 5
        assert sum(set(names) <= set(cifar_split.FC100[split]) for split in SPLITS) == 1


@pytest.mark.parametrize("kind", [CIFARFS, FC100])
def test_images_are_those_of_the_files_in_both_forms(tmp_path: Path, kind: type[CIFARFS]) -> None:
    dataset = load(kind, write_folder(tmp_path / "data" / "cifar-100-python").parent)
    train, test = content(TRAIN, 0), content(TEST, 5)
    for split in SPLITS:
        images = image_split(dataset, split)
        assert images.class_names == tuple(kind.classes[split]) and images.input_shape == (3, 32, 32)
        assert set(images.sizes) == {TRAIN + TEST}
        label = FINE.index(images.class_names[1])
        expected = [file["data"][np.array(file["fine_labels"]) == label] for file in (train, test)]
        rows = images.rows[images.offsets[1] : images.offsets[2]]
        assert (images.images[rows].numpy() == np.concatenate(expected).reshape(-1, 3, 32, 32)).all()
    assert (dataset.subset is not None and "of 38,400" in dataset.subset) or kind is FC100
    archived = load(kind, write_tar(tmp_path / "archived"))
    assert archived.content_hash == dataset.content_hash
    assert (dataset.origin, archived.origin) == ("CIFAR-100 in a folder", "CIFAR-100 in an archive")


@pytest.mark.usefixtures("settled")
def test_both_splits_share_one_preparation(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data" / "cifar100" / "cifar-100-python", as_bytes=True).parent.parent
    copy = CIFARFS.find_local_copy(CIFARFS.Options(), paths(folder))
    assert copy is not None and not copy.prepared
    load(CIFARFS, folder)
    load(FC100, folder)
    (cached,) = (tmp_path / "cache").glob("*.safetensors")
    assert cached.name.startswith("cifar100-")
    copy = FC100.find_local_copy(FC100.Options(), paths(folder))
    assert copy is not None and copy.prepared and copy.amount == "400 images of 100 classes"
    assert copy.subset == "images: train 240 of 36,000, val 80 of 12,000, test 80 of 12,000"


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("print('run')",)


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("train", {"data": np.zeros((300, 3000), np.uint8)}, "needs 'data', uint8"),
        ("train", {"fine_labels": [0] * 299}, "a number for each image"),
        ("test", {"fine_labels": [100] * 100}, "labels from 100 to 100, and meta names 100 classes"),
        ("meta", {"fine_label_names": None}, "needs 'fine_label_names'"),
        ("test", {"data": Hostile()}, "which plain data does not need"),
    ],
)
def test_other_content_and_code_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, changed: Any, message: str
) -> None:
    original = {"train": content(TRAIN, 0), "test": content(TEST, 5), "meta": {}}[name]
    folder = write_folder(tmp_path / "data" / "cifar-100-python", **{name: {**original, **changed}})
    with pytest.raises(DataError, match=message):
        load(CIFARFS, folder)
    assert capsys.readouterr().out == ""


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data" / "cifar-100-python")
    (folder / "test").write_bytes((folder / "test").read_bytes()[:1000])
    with pytest.raises(DataError, match=r"test' cannot be read .*download it again"):
        load(CIFARFS, folder)


def test_missing_data_names_the_folders_and_why_it_was_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingDataError, match=r"'.*data' \(--data-dir\).*downloading is not allowed"):
        load(CIFARFS, tmp_path / "data")

    def fail(folder: Path, progress: ProgressCallback) -> None:
        raise OSError("no network")

    monkeypatch.setattr(cifar, "download", fail)
    with pytest.raises(MissingDataError, match=r"downloading it failed \(no network\)"):
        CIFARFS(CIFARFS.Options(), DataPaths((), tmp_path / "cache"))


def test_a_downloaded_archive_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "download", lambda folder, progress: write_tar(folder))
    dataset = CIFARFS(CIFARFS.Options(), DataPaths((), tmp_path / "cache"))
    assert dataset.origin == "CIFAR-100 in an archive" and image_split(dataset, "val").size == 16

from __future__ import annotations

import io
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mamlbench.api import SPLITS, DataPaths, ImageSplit, hash64, seed_key
from mamlbench.errors import DamagedImagesError, DataError
from mamlbench_plugins.datasets.miniimagenet import MiniImageNet
from mamlbench_plugins.datasets.miniimagenet_split import CLASSES

PER_CLASS = 3
TOY = [
    (split, name, f"{name}{number:08}.jpg")
    for split in SPLITS
    for name in CLASSES[split][:4]
    for number in range(PER_CLASS)
]


def photograph(name: str, side: int = 84) -> bytes:
    colors = hash64(seed_key(name), np.arange(7 * 7 * 3)).astype(np.uint8).reshape(7, 7, 3)
    file = io.BytesIO()
    Image.fromarray(colors).resize((side, side)).save(file, "JPEG")
    return file.getvalue()


def write_class_folders(folder: Path) -> Path:
    for split, name, file in TOY:
        (folder / split / name).mkdir(parents=True, exist_ok=True)
        (folder / split / name / file).write_bytes(photograph(file))
    return folder


def write_tables(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        rows = [f"{file},{name}" for of, name, file in TOY if of == split]
        (folder / f"{split}.csv").write_text("\n".join(["filename,label", *rows[::-1]]) + "\n")
    return folder


def write_images(folder: Path) -> Path:
    write_tables(folder)
    (folder / "images").mkdir()
    for _, _, file in TOY:
        (folder / "images" / file).write_bytes(photograph(file))
    return folder


def write_tars(folder: Path) -> Path:
    loose = write_class_folders(folder / "loose")
    for split in SPLITS:
        with tarfile.open(folder / f"{split}.tar", "w") as archive:
            archive.add(loose / split, split)
    shutil.rmtree(loose)
    return folder


def write_compressed_tar(folder: Path) -> Path:
    loose = write_class_folders(folder / "loose")
    with tarfile.open(folder / "all.tar.gz", "w:gz") as archive:
        archive.add(loose, "./mini-imagenet")
    shutil.rmtree(loose)
    return folder


def write_zip_with_tables_inside(folder: Path) -> Path:
    loose = write_images(folder / "loose")
    with zipfile.ZipFile(folder / "mini.zip", "w") as archive:
        for path in sorted(loose.rglob("*.*"), reverse=True):
            archive.write(path, f"mini/{path.relative_to(loose).as_posix()}")
    shutil.rmtree(loose)
    return folder


def write_tar_of_images_with_tables_beside(folder: Path) -> Path:
    write_images(folder)
    with tarfile.open(folder / "images.tar", "w") as archive:
        archive.add(folder / "images", "images")
    shutil.rmtree(folder / "images")
    return folder


def write_pickles(folder: Path, protocol: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        listed = [(name, file) for of, name, file in TOY if of == split]
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(photograph(file)))) for _, file in listed])
        rows: dict[str, list[int]] = {}
        for row, (name, _) in enumerate(listed):
            rows.setdefault(name, []).append(row)
        content = pickle.dumps({"image_data": pixels, "class_dict": rows}, protocol)
        (folder / f"mini-imagenet-cache-{split}.pkl").write_bytes(content)
    return folder


FORMS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "class folders": (write_class_folders, "class folders"),
    "images": (write_images, "images with tables of the split"),
    "tars": (write_tars, "class folders in archives"),
    "tar.gz": (write_compressed_tar, "class folders in archives"),
    "zip": (write_zip_with_tables_inside, "images with tables of the split in archives"),
    "tar and tables": (write_tar_of_images_with_tables_beside, "images with tables of the split in archives"),
    "pickles": (write_pickles, "pickles"),
}


def load(folder: Path | None, cache: Path, progress: Any = None, **options: object) -> MiniImageNet:
    folders = () if folder is None else (("--data-dir", folder),)
    callback = {} if progress is None else {"progress": progress}
    return MiniImageNet(MiniImageNet.Options.model_validate(options), DataPaths(folders, cache, False, **callback))


def image_split(dataset: MiniImageNet, name: str) -> ImageSplit:
    split = dataset.splits[name]
    assert isinstance(split, ImageSplit)
    return split


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "toy")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> MiniImageNet:
    folder = tmp_path_factory.mktemp("reference")
    return load(write_class_folders(folder / "data"), folder / "cache")


# ------------------------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_set(tmp_path: Path, cache: Path, reference: MiniImageNet, form: str) -> None:
    write, origin = FORMS[form]
    dataset = load(write(tmp_path / "data"), cache)
    assert dataset.origin == origin
    assert dataset.content_hash == reference.content_hash
    again = load(tmp_path / "data", cache)
    assert (again.origin, again.subset, again.content_hash) == (origin, reference.subset, reference.content_hash)
    assert len(list(cache.glob("*.safetensors"))) == 1


TABLES = {
    "byte-order mark": lambda text: "\ufeff" + text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "index column": lambda text: "," + "\n0,".join(text.rstrip().split("\n")) + "\n",
    "paths": lambda text: text.replace("\nn", "\nimages/n"),
    "paths of Windows": lambda text: text.replace("\nn", "\nimages\\n"),
}


@pytest.mark.parametrize("form", [*TABLES, "validation.csv"])
def test_tables_as_people_have_them(tmp_path: Path, cache: Path, reference: MiniImageNet, form: str) -> None:
    folder = write_images(tmp_path / "data")
    for path in folder.glob("*.csv"):
        text = path.read_text()
        changed = TABLES.get(form, str)(text)
        assert (changed == text) == (form == "validation.csv")
        path.write_bytes(changed.encode())
    if form == "validation.csv":
        (folder / "val.csv").rename(folder / form)
    assert load(folder, cache).content_hash == reference.content_hash


def test_images_and_labels_are_those_of_the_files(reference: MiniImageNet) -> None:
    for split in SPLITS:
        images = image_split(reference, split)
        assert images.class_names == CLASSES[split][:4] and images.input_shape == (3, 84, 84)
        files = [file for of, _, file in TOY if of == split]
        for row, file in zip(images.rows, files, strict=True):
            expected = np.asarray(Image.open(io.BytesIO(photograph(file)))).transpose(2, 0, 1)
            assert (images.images[int(row)].numpy() == expected).all()


@pytest.mark.parametrize("where", ["miniimagenet", "mini-imagenet", "miniImageNet/mini-imagenet", "Mini_ImageNet"])
def test_the_folder_or_its_parents_may_be_named(tmp_path: Path, cache: Path, where: str) -> None:
    write_class_folders(tmp_path / "data" / where)
    assert load(tmp_path / "data", cache).origin == "class folders"


def test_folders_of_something_else_are_not_taken_for_it(tmp_path: Path, toy: Path, cache: Path) -> None:
    other = tmp_path / "flowers"
    for split in SPLITS:
        (other / split / f"{split} rose").mkdir(parents=True)
        (other / split / f"{split} rose" / "1.jpg").write_bytes(photograph("rose"))
    with pytest.raises(DataError, match="miniImageNet was not found"):
        load(other, cache)
    shutil.copytree(toy, other / "miniimagenet")
    assert load(other, cache).splits["train"].size == 4


def test_larger_and_gray_images_are_converted_to_84_pixels_of_color(toy: Path, cache: Path) -> None:
    split, name, file = TOY[0]
    with Image.open(io.BytesIO(photograph("large", 300))) as image:
        image.resize((300, 200)).convert("L").save(toy / split / name / file)
    image = Image.open(toy / split / name / file).convert("RGB").resize((84, 84), Image.Resampling.LANCZOS)
    images = image_split(load(toy, cache), split)
    assert (images.images[int(images.rows[0])].numpy() == np.asarray(image).transpose(2, 0, 1)).all()


@pytest.mark.parametrize("protocol", [3, 5])
def test_pickles_of_any_protocol(tmp_path: Path, cache: Path, reference: MiniImageNet, protocol: int) -> None:
    assert load(write_pickles(tmp_path / "data", protocol), cache).content_hash == reference.content_hash


def test_pickles_of_other_content_are_named(tmp_path: Path, cache: Path) -> None:
    write_pickles(tmp_path / "data")
    path = tmp_path / "data" / "mini-imagenet-cache-val.pkl"
    path.write_bytes(pickle.dumps({"labels": [1]}))
    with pytest.raises(DataError, match=r"cache-val\.pkl' needs 'image_data'"):
        load(tmp_path / "data", cache)
    path.write_bytes(pickle.dumps({"image_data": np.zeros((2, 4, 4, 3), np.uint8), "class_dict": {"n1": [2]}}))
    with pytest.raises(DataError, match=r"cache-val\.pkl': class n1 names images that do not exist"):
        load(tmp_path / "data", cache)
    for rows, problem in (
        ({"n1": [0, 0]}, "has image 0 twice"),
        ({"n1": [0], "n2": np.array([1, 0])}, "has image 0 twice"),
        ({"n1": [0], b"n1": [1]}, "has two classes of one name"),
        ({"n1": [[0]]}, "class n1 names images that do not exist"),
        ({"n1": [-(2**70)]}, "class n1 names images that do not exist"),
        ({"n1": ["0"]}, "class n1 names images that do not exist"),
    ):
        path.write_bytes(pickle.dumps({"image_data": np.zeros((2, 4, 4, 3), np.uint8), "class_dict": rows}))
        with pytest.raises(DataError, match=rf"cache-val\.pkl'.* {problem}"):
            load(tmp_path / "data", cache)


# ---------------------------------------------------------------------------------------- completeness, options


def test_a_subset_is_described(reference: MiniImageNet) -> None:
    assert reference.subset == (
        "images: train 12 of 38,400, val 12 of 9,600, test 12 of 12,000; 60 of the 64 train classes missing; "
        "12 of the 16 val classes missing; 16 of the 20 test classes missing"
    )


def test_classes_of_another_split_are_reported(toy: Path, cache: Path) -> None:
    (toy / "train" / CLASSES["train"][0]).rename(toy / "test" / CLASSES["train"][0])
    subset = load(toy, cache).subset
    assert subset is not None and "1 test classes that are not in the published split" in subset


def test_a_class_in_two_splits_is_in_both(toy: Path, cache: Path) -> None:
    """A run refuses it, or marks its scores."""
    shutil.copytree(toy / "train" / CLASSES["train"][0], toy / "test" / CLASSES["train"][0])
    dataset = load(toy, cache)
    assert all(CLASSES["train"][0] in image_split(dataset, split).class_names for split in ("train", "test"))


def test_normalization_is_that_of_the_training_images(toy: Path, cache: Path) -> None:
    plain, dataset = load(toy, cache), load(toy, cache, normalize="channels")
    train = image_split(plain, "train")
    pixels = train.images[train.rows].double() / 255
    for split in SPLITS:
        normalization = image_split(dataset, split).normalization
        assert normalization is not None
        assert normalization.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
        assert normalization.deviation == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())
    assert dataset.content_hash == plain.content_hash


def test_only_training_images_are_augmented(toy: Path, cache: Path) -> None:
    dataset = load(toy, cache, crop=0.5, flip=True, jitter=0.2)
    assert [image_split(dataset, split).augmentation is not None for split in SPLITS] == [True, False, False]
    plain, key = load(toy, cache), seed_key("augmented")
    assert not torch.equal(
        dataset.splits["train"].labeled_examples(key, 8).x, plain.splits["train"].labeled_examples(key, 8).x
    )
    keys = np.array([key], np.uint64)
    episode, expected = (data.splits["train"].episodes(keys, 3, 1, 1) for data in (dataset, plain))
    assert torch.equal(episode.query.x, expected.query.x)


# ------------------------------------------------------------------------------------------- damage, preparation


def test_all_damaged_images_are_named_in_every_form(tmp_path: Path, cache: Path, toy: Path) -> None:
    files = [toy / split / name / file for split, name, file in TOY[:12]]
    for number, path in enumerate(files):
        whole = path.read_bytes()
        path.write_bytes([b"", whole[: len(whole) // 2], b"no image"][number % 3])
    with pytest.raises(DamagedImagesError, match=r"^12 damaged images: .* and 2 more\. .*data verify") as error:
        load(toy, cache)
    assert len(error.value.damaged) == 12
    assert all(any(str(path) in name for name in error.value.damaged) for path in files)
    assert not list(cache.rglob("*.safetensors*")), "no incomplete file is left"
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(toy, "mini")
    shutil.rmtree(toy)
    with pytest.raises(DamagedImagesError, match=r"^12 damaged images: '.*all\.tar/mini/"):
        load(tmp_path, cache)


def test_a_truncated_archive_is_named(tmp_path: Path, cache: Path) -> None:
    path = write_tars(tmp_path / "data") / "val.tar"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"val\.tar' cannot be read .*damaged"):
        load(tmp_path / "data", cache)


def test_changed_files_are_prepared_again(toy: Path, cache: Path, reference: MiniImageNet) -> None:
    split, name, _ = TOY[0]
    assert load(toy, cache).content_hash == reference.content_hash
    (toy / split / name / "new.jpg").write_bytes(photograph("new"))
    assert load(toy, cache).content_hash != reference.content_hash


@pytest.mark.usefixtures("settled")
def test_progress_is_reported(toy: Path, cache: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    load(toy, cache, progress=lambda *report: reports.append(report))
    assert reports[-1] == ("miniImageNet", len(TOY), len(TOY))
    reports.clear()
    load(toy, cache, progress=lambda *report: reports.append(report))
    assert not reports, "prepared again"


def test_if_nothing_is_found_the_message_names_folders_and_forms(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DataError, match=r"was not found in '.*' \(--data-dir\).*MAMLBENCH_DATA.*train\.csv.*pickles"):
        load(tmp_path, cache)
    with pytest.raises(DataError, match="no folder, because none was named"):
        load(None, cache)


# ---------------------------------------------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def real(shared_data: Path, real_cache: Path) -> MiniImageNet:
    return load(shared_data, real_cache)


def test_the_third_is_recognized(real: MiniImageNet) -> None:
    assert real.origin == "class folders in archives"
    assert real.subset == "images: train 12,800 of 38,400, val 3,200 of 9,600, test 4,000 of 12,000"
    for split in SPLITS:
        assert image_split(real, split).class_names == CLASSES[split]
        assert set(image_split(real, split).sizes) == {200}
    assert not real.info.publishable


def test_a_second_start_opens_no_archive_and_hashes_no_image(
    real: MiniImageNet, shared_data: Path, real_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("zipfile.ZipFile.open", "PIL.Image.open", "mamlbench.data.image_cache._image_hash"):
        monkeypatch.setattr(name, lambda *arguments, **options: pytest.fail("not from the cache"))
    again = load(shared_data, real_cache)
    assert again.content_hash == real.content_hash
    assert torch.equal(image_split(again, "val").images[:3], image_split(real, "val").images[:3])

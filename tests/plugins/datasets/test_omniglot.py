from __future__ import annotations

import io
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_omniglot import ALPHABETS, TOY, drawing, image_split, load, names_of, write_archives, write_folders

from mamlbench.api import SPLITS, CachedImages, DataPaths
from mamlbench.errors import DataError
from mamlbench_plugins.datasets import omniglot
from mamlbench_plugins.datasets.omniglot import Omniglot, split_by_alphabet, split_randomly
from mamlbench_plugins.datasets.omniglot_files import HALVES
from mamlbench_plugins.datasets.omniglot_images import decode, resize


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "toy")


# ---------------------------------------------------------------------------------------------- forms and paths


def test_archives_and_folders_are_the_same_set(tmp_path: Path, toy: Path) -> None:
    folders = load(toy, tmp_path / "a")
    archives = load(write_archives(tmp_path / "zips"), tmp_path / "b")
    assert (folders.origin, archives.origin) == ("folders", "zip archives")
    assert folders.drawings_hash == archives.drawings_hash
    assert folders.content_hash == archives.content_hash


def test_the_order_of_listing_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: Path) -> None:
    archives = [
        load(write_archives(tmp_path / str(i), names), tmp_path / f"cache{i}")
        for i, names in enumerate((sorted(TOY), sorted(TOY, reverse=True)))
    ]
    assert archives[0].content_hash == archives[1].content_hash
    scandir = os.scandir

    class Reversed:
        def __init__(self, path: str) -> None:
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr("mamlbench_plugins.datasets.omniglot_files.os.scandir", Reversed)
    folders = load(toy, tmp_path / "cache2")
    assert folders.drawings_hash == archives[0].drawings_hash
    assert folders.content_hash == archives[0].content_hash


@pytest.mark.parametrize("layout", ["", "omniglot", "omniglot-py", "omniglot/python"])
def test_the_folder_or_its_parent_may_be_named(tmp_path: Path, cache: Path, layout: str) -> None:
    write_archives(tmp_path / "data" / layout)
    assert load(tmp_path / "data", cache).origin == "zip archives"


def test_the_first_folder_that_has_it_counts(tmp_path: Path, toy: Path, cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    paths = DataPaths((("--data-dir", tmp_path / "empty"), ("MAMLBENCH_DATA", toy)), cache, allow_download=False)
    assert Omniglot(Omniglot.Options(), paths).origin == "folders"


def test_one_half_may_be_an_archive(tmp_path: Path, toy: Path, cache: Path) -> None:
    shutil.rmtree(toy / HALVES[1])
    write_archives(toy, halves=HALVES[1:])
    assert load(toy, cache).origin == "a zip archive and a folder"


def test_hidden_files_are_not_data(tmp_path: Path, toy: Path) -> None:
    clean = load(toy, tmp_path / "a").drawings_hash
    hidden = {
        f"{HALVES[0]}/Angelic/character01/._0000_01.png",
        f"{HALVES[0]}/Angelic/character01/Thumbs.db",
        f"{HALVES[0]}/.git/objects/x.png",
        f"{HALVES[0]}/README.png",
    }
    write_folders(toy, hidden)
    archives = write_archives(tmp_path / "zips", sorted(TOY | hidden))
    with zipfile.ZipFile(archives / f"{HALVES[0]}.zip", "a") as archive:
        archive.writestr("__MACOSX/Angelic/._x.png", b"")
    assert load(toy, tmp_path / "b").drawings_hash == load(archives, tmp_path / "c").drawings_hash == clean


# ------------------------------------------------------------------------------------------------------ images


def test_the_nearest_pixel_is_pillows() -> None:
    files = [drawing(f"{i}") for i in range(5)]
    one_bit = [Image.open(io.BytesIO(file)).convert("1") for file in files]
    expected = [
        255 * (1 - np.asarray(image.resize((28, 28), Image.Resampling.LANCZOS)).astype(int)) for image in one_bit
    ]
    assert (resize([decode(file) for file in files], "nearest") == np.stack(expected)).all()


def test_resizing_is_pillows_lanczos() -> None:
    files = [drawing(f"{i}") for i in range(5)]
    expected = [
        255 - np.asarray(Image.open(io.BytesIO(file)).convert("L").resize((28, 28), Image.Resampling.LANCZOS))
        for file in files
    ]
    assert (resize([decode(file) for file in files]) == np.stack(expected)).all()


def test_images_are_prepared_once_for_each_way_of_resizing(toy: Path, cache: Path) -> None:
    smooth, sharp = (load(toy, cache, resampling=name) for name in ("lanczos", "nearest"))
    assert len(list(cache.glob("omniglot-*.safetensors"))) == 2
    assert set(image_split(sharp, "train").images.unique().tolist()) == {0, 255}
    assert len(image_split(smooth, "train").images.unique()) > 2
    assert smooth.drawings_hash == sharp.drawings_hash and smooth.content_hash != sharp.content_hash


def test_ink_is_one_on_zero_paper_by_default(tmp_path: Path, toy: Path, cache: Path) -> None:
    bright, dark = (image_split(load(toy, cache, polarity=ink), "train").images for ink in (1, 0))
    assert bright.dtype == torch.uint8 and bright.shape[1:] == (1, 28, 28)
    assert not bright[..., 20:].any() and bright.amax() > 100
    assert torch.equal(dark, 255 - bright)


def test_drawings_saved_in_gray_are_the_same(tmp_path: Path, toy: Path) -> None:
    expected = load(toy, tmp_path / "a").drawings_hash
    for name in TOY:
        with Image.open(toy / name) as image:
            image.convert("RGB").save(toy / name)
    assert load(toy, tmp_path / "b").drawings_hash == expected


# --------------------------------------------------------------------------------------------------------- cache


def test_prepared_once_for_all_options(toy: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(toy, cache)

    def refuse(files: object) -> CachedImages:
        pytest.fail("prepared again")

    monkeypatch.setattr(omniglot, "prepare", refuse)
    again = load(toy, cache)
    assert (again.content_hash, again.drawings_hash) == (first.content_hash, first.drawings_hash)
    assert load(toy, cache, split="alphabets", polarity=0).subset == first.subset
    moved = toy.rename(toy.with_name("moved"))
    assert load(moved, cache).content_hash == first.content_hash


@pytest.mark.parametrize("write", [write_folders, write_archives])
def test_changed_files_are_prepared_again(tmp_path: Path, cache: Path, write: Callable[..., Path]) -> None:
    before = load(write(tmp_path / "data"), cache)
    after = load(write(tmp_path / "data", sorted(TOY | {f"{HALVES[0]}/Angelic/character01/0000_03.png"})), cache)
    assert before.content_hash != after.content_hash


# -------------------------------------------------------------------------------------------------------- splits


def test_a_subset_is_split_in_proportion_and_described(toy: Path, cache: Path) -> None:
    dataset = load(toy, cache)
    assert {split: len(names) for split, names in names_of(dataset).items()} == {"train": 10, "val": 1, "test": 4}
    assert len(set.union(*names_of(dataset).values())) == 15
    assert dataset.subset == "15 of 1,623 characters, 15 characters with other than 20 drawings"


def test_alphabets_stay_whole(toy: Path, cache: Path) -> None:
    names = names_of(load(toy, cache, split="alphabets"))
    alphabets = {split: {name.split("/")[0] for name in classes} for split, classes in names.items()}
    assert alphabets["test"] == set(ALPHABETS[1])
    assert len(alphabets["val"]) == 1 and alphabets["train"] | alphabets["val"] == set(ALPHABETS[0])
    assert sum(map(len, names.values())) == 15


def test_rotated_classes_are_for_training_only(toy: Path, cache: Path) -> None:
    dataset = load(toy, cache, rotations="classes")
    assert {name: split.size for name, split in dataset.splits.items()} == {"train": 40, "val": 1, "test": 4}
    dataset = load(toy, cache, rotations="classes-everywhere")
    assert {image_split(dataset, split).rotations for split in dataset.splits} == {"classes"}
    for rotations in ("none", "episode"):
        dataset = load(toy, cache, rotations=rotations)
        assert {image_split(dataset, split).rotations for split in dataset.splits} == {rotations}


def test_sets_too_small_to_split() -> None:
    with pytest.raises(DataError, match="it has 2 characters, and at least three are needed"):
        split_randomly(("A/1", "A/2"))
    with pytest.raises(DataError, match="images_background has 1, and two are needed"):
        split_by_alphabet(("A/1", "A/2", "B/1"), ["B"])


def test_the_random_split_ignores_order() -> None:
    names = [f"A/character{i}" for i in range(50)]
    forwards, backwards = split_randomly(names), split_randomly(names[::-1])
    for split, classes in forwards.items():
        assert {names[c] for c in classes} == {names[::-1][c] for c in backwards[split]}


# -------------------------------------------------------------------------------------------------------- errors


def test_if_nothing_is_found_the_message_names_folders_and_remedies(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DataError) as error:
        load(tmp_path, cache)
    for part in (
        str(tmp_path),
        "(--data-dir)",
        str(cache / "downloads"),
        "downloading is not allowed",
        "MAMLBENCH_DATA",
        "data_dir in mamlbench.toml",
        "--dataset glyphs",
    ):
        assert part in str(error.value)
    assert not cache.exists()


@pytest.mark.parametrize("missing", HALVES)
def test_one_half_alone_is_refused(tmp_path: Path, toy: Path, cache: Path, missing: str) -> None:
    shutil.rmtree(toy / missing)
    (present,) = set(HALVES) - {missing}
    with pytest.raises(DataError, match=f"only one half of Omniglot, {present}: put {missing}.zip beside it"):
        load(toy, cache)


def test_a_truncated_archive_is_named(tmp_path: Path, cache: Path) -> None:
    archive = write_archives(tmp_path / "zips") / f"{HALVES[1]}.zip"
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataError, match=rf"{HALVES[1]}\.zip' cannot be read.*download it again"):
        load(archive.parent, cache)
    assert not list(cache.glob("*"))


def test_damage_inside_an_archive_is_found(tmp_path: Path, cache: Path) -> None:
    archive = write_archives(tmp_path / "zips") / f"{HALVES[0]}.zip"
    content = bytearray(archive.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 255
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"1 damaged drawing: .*zip/Angelic/character01/0000_01.png' \(Bad CRC"):
        load(archive.parent, cache)


def test_all_damaged_drawings_are_named(toy: Path, cache: Path) -> None:
    """Of 30, damaged in four ways: ten are named, the others counted."""
    for i, name in enumerate(sorted(TOY)[:12]):
        whole = drawing(name)
        half = len(whole) // 2
        damage = [b"", whole[:half], whole[:half] + bytes(20) + whole[half + 20 :], drawing(name, (28, 28))]
        (toy / name).write_bytes(damage[i % 4])
    with pytest.raises(DataError, match=r"^12 damaged drawings.* and 2 more\. Extract or download") as error:
        load(toy, cache)
    assert len(re.findall(r"\d{4}_\d\d\.png", str(error.value))) == 10
    assert "(28 x 28 pixels instead of 105 x 105)" in str(error.value)
    assert "\n" not in str(error.value)


def test_character_folders_without_drawings_are_named(tmp_path: Path, toy: Path, cache: Path) -> None:
    (toy / HALVES[0] / "Angelic" / "character09").mkdir()
    with pytest.raises(DataError, match=r"folders without drawings, Angelic/character09: extract or download"):
        load(toy, cache)
    archives = write_archives(tmp_path / "zips")
    with zipfile.ZipFile(archives / f"{HALVES[0]}.zip", "a") as archive:
        archive.writestr(f"{HALVES[0]}/Angelic/character09/", b"")
    with pytest.raises(DataError, match=r"folders without drawings, Angelic/character09: extract or download"):
        load(archives, cache)


def test_an_empty_half_is_named(toy: Path, cache: Path) -> None:
    shutil.rmtree(toy / HALVES[0])
    (toy / HALVES[0]).mkdir()
    with pytest.raises(DataError, match=f"{HALVES[0]}' holds no Alphabet/characterNN/NAME.png"):
        load(toy, cache)


def test_one_half_twice_is_refused(tmp_path: Path, cache: Path) -> None:
    names = {name.replace(*HALVES[::-1]) for name in TOY if name.startswith(HALVES[1])}
    archives = write_archives(tmp_path / "zips", sorted(TOY | names))
    with pytest.raises(DataError, match=r"Characters in both .*: Tengwar/character01, .*copy of the other"):
        load(archives, cache)


def test_a_dangling_link_is_named(toy: Path, cache: Path) -> None:
    (toy / HALVES[0] / "Angelic" / "character01" / "0000_03.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"1 damaged drawing: '.*0000_03\.png' \(.*No such file"):
        load(toy, cache)


def test_identical_drawings_are_no_damage(toy: Path, cache: Path) -> None:
    """The published set has a pair: Braille/character01 0192_03 and 0192_19."""
    first, second = sorted((toy / HALVES[0] / "Braille" / "character01").iterdir())
    shutil.copy(first, second)
    assert load(toy, cache).splits["train"].size == 10


# ----------------------------------------------------------------------------------------------- a user's drawing


@pytest.mark.parametrize("ink", [0, 1])
def test_a_users_drawing_is_converted_to_the_same_format(toy: Path, cache: Path, ink: int) -> None:
    dataset = load(toy, cache, polarity=ink)
    name = sorted(TOY)[0]
    character = name.partition("/")[2].rpartition("/")[0]
    split = next(image_split(dataset, name) for name in SPLITS if character in names_of(dataset)[name])
    row = int(split.rows[split.offsets[split.class_names.index(character)]])
    inverted = io.BytesIO()
    Image.fromarray(255 - np.asarray(Image.open(io.BytesIO(drawing(name))).convert("L"))).save(inverted, "PNG")
    for content in (drawing(name), inverted.getvalue()):
        own = dataset.image_format().decode(content)
        difference = own.astype(int) - split.images[row].numpy().astype(int)
        assert own.shape == (1, 28, 28) and np.abs(difference).max() <= 2

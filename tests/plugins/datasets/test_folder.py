from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toy_folder import (
    CLASSES,
    image,
    image_split,
    load,
    names,
    paths,
    write,
    write_classes,
    write_splits,
    write_table,
)

from mamlbench.api import SPLITS, seed_key
from mamlbench.errors import ConfigError, DamagedImagesError, DataError, MissingDataError
from mamlbench.plugin import load_plugins
from mamlbench.runner.component_options import read_options
from mamlbench_plugins.datasets.folder import Folder
from mamlbench_plugins.datasets.folder_files import (
    split_by_seed,
    split_by_table,
)

# -------------------------------------------------------------------------------------------------------- layouts


@pytest.mark.parametrize("spelled", [{}, {"val": "valid"}, {"val": "Validation", "train": "TRAIN"}])
def test_folders_of_splits_in_every_spelling(tmp_path: Path, spelled: dict[str, str]) -> None:
    dataset = load(write_splits(tmp_path / "data", **spelled))
    assert names(dataset) == CLASSES and dataset.origin == "folders of splits" and dataset.subset is None
    assert image_split(dataset, "train").input_shape == (3, 16, 16)
    assert image_split(dataset, "train").sizes.tolist() == [3, 3, 3]


def test_a_table_splits_classes_and_images_are_those_of_the_files(tmp_path: Path) -> None:
    dataset = load(write_table(write_classes(tmp_path / "data")))
    assert names(dataset) == CLASSES and "split.csv" in dataset.origin
    split = image_split(dataset, "val")
    expected = image("fly2").resize((16, 16), Image.Resampling.LANCZOS)
    assert (split.images[int(split.rows[5])].numpy() == np.asarray(expected).transpose(2, 0, 1)).all()
    assert dataset.content_hash == load(write_splits(tmp_path / "splits")).content_hash


def test_the_table_may_lie_elsewhere_and_needs_no_new_preparation(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "data")
    seeded = load(folder)
    assert "by their names (seed 0)" in seeded.origin
    write_table(tmp_path, "mine.csv")
    dataset = load(folder, split_file=str(tmp_path / "mine.csv"))
    assert names(dataset) == CLASSES
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 1


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_and_the_folder_they_are_packed_in(tmp_path: Path, kind: str) -> None:
    loose = write_table(write_classes(tmp_path / "loose"))
    (tmp_path / "data").mkdir()
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "data" / "all.zip", "w") as archive:
            for path in loose.rglob("*.*"):
                archive.write(path, f"animals/{path.relative_to(loose).as_posix()}")
    else:
        with tarfile.open(tmp_path / "data" / "all.tar", "w") as archive:
            archive.add(loose, "animals")
    for table in ("", "split.csv"):
        dataset = load(tmp_path / "data", path=f"all.{kind}", split_file=table)
        assert names(dataset) == CLASSES and dataset.content_hash == load(loose).content_hash


def test_classes_may_be_nested_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("birds/finch", "birds/owl", "cats"):
        write(folder / "photos" / name, name)
    (folder / "photos" / "cats" / "._0.png").write_bytes(b"hidden")
    (folder / "photos" / "notes.txt").write_text("no image")
    dataset = load(folder)
    assert sorted(name for classes in names(dataset).values() for name in classes) == [
        "birds/finch",
        "birds/owl",
        "cats",
    ]


def test_gray_size_and_fit(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    dataset = load(folder, color=False, image_size=10, fit="crop")
    assert image_split(dataset, "test").input_shape == (1, 10, 10)
    episode = dataset.splits["train"].episodes(np.array([seed_key("e")], np.uint64), 3, 1, 1)
    assert episode.support.x.shape == (1, 3, 1, 10, 10)
    assert len({load(folder).content_hash, dataset.content_hash, load(folder, image_size=10).content_hash}) == 3


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(folder / "train" / "cat" / "0.png")
    split = image_split(load(folder), "train")
    assert bool(torch.all(split.images[int(split.rows[0])] == 255))


# ---------------------------------------------------------------------------------------------------------- splits


@given(st.lists(st.text(min_size=1), min_size=3, max_size=60, unique=True), st.integers(0, 5), st.randoms())
def test_a_seeded_split_depends_on_names_and_seed_alone(classes: list[str], seed: int, random: object) -> None:
    split = split_by_seed(classes, seed, 0.16, 0.2)
    assert sorted(c for indices in split.values() for c in indices) == list(range(len(classes)))
    assert all(split[name] for name in SPLITS)
    shuffled = sorted(classes, reverse=True)
    again = split_by_seed(shuffled, seed, 0.16, 0.2)
    assert {s: {classes[c] for c in split[s]} for s in SPLITS} == {s: {shuffled[c] for c in again[s]} for s in SPLITS}


def test_another_seed_is_another_split(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "data")
    assert len({str(names(load(folder, split_seed=seed))) for seed in range(5)}) > 1


def test_every_problem_of_a_table_is_reported() -> None:
    text = "class,split\ncat,train\ncat,test\ndog,some\ncow,dev\n"
    with pytest.raises(DataError) as error:
        split_by_table(("cat", "dog", "owl"), "split.csv", text)
    for message in ("'cat' is in train and in test", "'dog' is in 'some'", "'cow' has no folder", "'owl' is not in it"):
        assert message in str(error.value)
    with pytest.raises(DataError, match="needs the columns class and split"):
        split_by_table(("cat",), "split.csv", "name,set\ncat,train\n")


def test_other_names_of_splits_are_refused_unless_a_table_says_the_splits(tmp_path: Path) -> None:
    """Split by a hash of all names, classes of the user's test split would be trained on."""
    spelled = {"train": "background", "val": "tuning", "test": "evaluation"}
    folder = write_splits(tmp_path / "data", **spelled)
    with pytest.raises(DataError, match=r"under another name: background, evaluation, tuning\. Call them train, val"):
        load(folder)
    rows = [f"{spelled[split]}/{name},{spelled[split]}" for split, names in CLASSES.items() for name in names]
    table = "\n".join(["class,split", *rows]).replace(",background", ",base").replace(",evaluation", ",novel")
    (folder / "split.csv").write_text(table.replace(",tuning", ",dev"))
    assert names(load(folder)) == {
        split: tuple(f"{spelled[split]}/{name}" for name in classes) for split, classes in CLASSES.items()
    }


def test_what_was_guessed_and_what_was_left_out_is_noted(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "data")
    (folder / "cat" / "notes.txt").touch()
    (folder / "cow").mkdir()
    image("x").save(write_classes(folder / "unlabeled") / "x.png")
    notes = load(folder).notes
    assert len(notes) == 4 and "its 7 classes are split by a hash of their names" in notes[3]
    assert notes[:3] == (
        "22 unlabeled images are left out",
        "1 file is no image and left out: 1 .txt (cat/notes.txt)",
        "1 folder is without an image: cow",
    )
    assert load(write_splits(tmp_path / "split")).notes == ()


def test_small_classes_are_left_out_on_request(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    (folder / "train" / "owl" / "2.png").unlink()
    with pytest.raises(ConfigError, match=r"1 of 3 classes have fewer: owl \(2\)\. Request fewer, .*--min-images 3"):
        load(folder).splits["train"].episodes(np.arange(1, dtype=np.uint64), 2, 1, 2)
    dataset = load(folder, min_images=3)
    assert names(dataset) == {**CLASSES, "train": ("cat", "dog")}
    assert dataset.subset == "1 class with fewer than 3 images left out: owl (train, 2)"
    dataset.splits["train"].episodes(np.arange(1, dtype=np.uint64), 2, 1, 2)
    with pytest.raises(DataError, match="No classes for train and val and test"):
        load(folder, min_images=4)


# ---------------------------------------------------------------------------------------------------------- errors


def test_invalid_folders_are_explained(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    write(folder / "birds", "finch")
    with pytest.raises(DataError, match="folders of splits and others beside them: birds"):
        load(folder)
    shutil.rmtree(folder / "birds")
    image("x").save(folder / "train" / "x.png")
    with pytest.raises(DataError, match=r"outside a class's folder: train/x\.png"):
        load(folder)
    (folder / "train" / "x.png").unlink()
    shutil.rmtree(folder / "val")
    with pytest.raises(DataError, match="No classes for val"):
        load(folder)
    with pytest.raises(DataError, match="leave out dataset"):
        load(write_splits(tmp_path / "splits"), split_file="split.csv")


def test_too_few_classes_a_missing_table_and_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write(folder / "cat", "cat")
    write(folder / "dog", "dog")
    with pytest.raises(DataError, match="at least three are needed"):
        load(folder)
    with pytest.raises(DataError, match=r"table of splits 'none\.csv' is neither"):
        load(folder, split_file="none.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no image\. It needs folders"):
        load(tmp_path / "empty")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"'flowers' was not found in '.*' \(--data-dir\)"):
        load(tmp_path / "data", path="flowers")


def test_damaged_images_are_all_named(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    damaged = [folder / "train" / "cat" / "1.png", folder / "test" / "oak" / "2.png"]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DamagedImagesError) as error:
        load(folder)
    assert len(error.value.damaged) == 2
    assert all(any(str(path) in name for name in error.value.damaged) for path in damaged)


def test_options_of_the_command_line_are_checked() -> None:
    plugin = load_plugins().registry.load("dataset", "folder")
    with pytest.raises(ConfigError) as error:
        read_options("dataset", plugin, "folder", {"image_size": "4", "fit": "squeeze", "size": "3"})
    assert "dataset.image_size" in str(error.value) and "'stretch' or 'crop'" in str(error.value)
    assert "Did you mean 'image_size'?" in str(error.value)


# --------------------------------------------------------------------------------------------------------- content


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_equal_names_sizes_and_times_are_not_taken_for_equal_images(tmp_path: Path, kind: str) -> None:
    """As ``tar --mtime`` makes them; bitmaps of one size have equal sizes."""
    means = []
    for number, name in enumerate(("clean", "noisy", "clean")):
        folder = tmp_path / name
        for split, classes in CLASSES.items():
            for class_name in classes:
                (folder / split / class_name).mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (100 * (name == "noisy"), 0, 0)).save(folder / split / class_name / "0.bmp")
        for path in folder.rglob("*"):
            os.utime(path, (1e9, 1e9))
        archive = tmp_path / f"{number}" / "data.tar"
        archive.parent.mkdir()
        with tarfile.open(archive, "w") as tar:
            tar.add(folder, "data")
        os.utime(archive, (1e9, 1e9))
        dataset = load(folder if kind == "folder" else archive.parent, path="" if kind == "folder" else "data.tar")
        means.append((dataset.content_hash, float(image_split(dataset, "test").images.float().mean())))
    assert means[0] == means[2] and means[0][0] != means[1][0]
    assert [mean for _, mean in means[:2]] == pytest.approx([0, 100 / 3])


# ------------------------------------------------------------------------------------------------- find_local_copy


@pytest.mark.usefixtures("settled")
def test_finding_the_local_copy_decodes_nothing(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    options = Folder.Options.model_validate({"image_size": 16})
    copy = Folder.find_local_copy(options, paths(folder))
    assert copy is not None and (copy.amount, copy.prepared) == ("21 images of 7 classes", False)
    assert not (tmp_path / "cache").exists()
    load(folder)
    copy = Folder.find_local_copy(options, paths(folder))
    assert copy is not None and copy.prepared
    assert Folder.find_local_copy(options, paths(write_classes(tmp_path / "other"))) is None, (
        "the data folder itself has no splits"
    )
    named = Folder.find_local_copy(Folder.Options.model_validate({"path": "other"}), paths(tmp_path))
    assert named is not None and named.form == "class folders"

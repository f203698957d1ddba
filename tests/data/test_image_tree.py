from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.api import ImageTree, split_of_folder
from mamlbench.errors import DataError

LAYOUT = "It needs folders."
CLASSES = ("cat", "dog")


def read(*names: str, folders: tuple[str, ...] = (), ignored: tuple[str, ...] = ()) -> ImageTree:
    return ImageTree.read(names, "'data'", LAYOUT, folders, ignored)


def classes(tree: ImageTree) -> dict[str, set[str]]:
    return {split: {image.class_name for image in tree.images if image.split == split} for split in tree.splits}


USUAL = [
    ("train", "val", "test"),
    ("Train", "VALID", "Test"),
    ("training", "validation", "testing"),
    ("training", "dev", "testing"),
    ("meta-train", "meta-val", "meta-test"),
    ("meta_train", "meta_validation", "Meta Test"),
    ("metatrain", "metavalid", "metatest"),
    ("base", "val", "novel"),
]


@pytest.mark.parametrize("spelled", USUAL, ids="/".join)
def test_splits_are_known_under_their_usual_names(spelled: tuple[str, str, str]) -> None:
    tree = read(*(f"{folder}/{folder} {name}/0.png" for folder in spelled for name in CLASSES))
    assert classes(tree) == {
        split: {f"{folder} cat", f"{folder} dog"}
        for split, folder in zip(("train", "val", "test"), spelled, strict=True)
    }
    assert not tree.doubtful and not tree.notes()


def test_classes_without_splits_are_named_after_all_folders() -> None:
    tree = read("all/birds/finch/0.png", "all/birds/owl/1.JPG", "all/cats/0.webp")
    assert classes(tree) == {ImageTree.UNSPLIT: {"birds/finch", "birds/owl", "cats"}}
    assert tree.images[0] == (ImageTree.UNSPLIT, "birds/finch", "0.png", "all/birds/finch/0.png")


def test_classes_called_like_words_of_splits_are_classes_if_they_hold_images() -> None:
    assert classes(read("background/0.png", "cat/0.png")) == {ImageTree.UNSPLIT: {"background", "cat"}}
    assert not read("background/0.png", "cat/0.png").doubtful


@pytest.mark.parametrize("name", ["background", "images_evaluation", "train_set", "my-test", "tuning", "fold1"])
def test_folders_of_classes_that_may_be_splits_are_doubtful(name: str) -> None:
    assert read(f"{name}/cat/0.png", "other/dog/0.png").doubtful == (name,)


def test_unlabeled_images_have_no_class() -> None:
    tree = read("cat/0.png", "dog/0.png", "unlabeled/x.png", "unlabeled/deeper/y.png", "test/cat/1.png")
    assert classes(tree) == {ImageTree.UNSPLIT: {"cat", "dog"}, "unlabeled": {""}, "test": {"cat"}}


@pytest.mark.skipif(os.name != "posix", reason="links need permission elsewhere")
def test_links_are_followed_and_circles_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / "cat" / ".hidden").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in ("data/cat/0.png", "data/cat/.hidden/1.png", "data/.x", "elsewhere/2.png"):
        (tmp_path / path).touch()
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "again").symlink_to(tmp_path / "elsewhere")
    names, folders = ImageTree.walk(tmp_path / "data")
    assert sorted(names) == ["again/2.png", "cat/0.png", "dog/2.png"] and sorted(folders) == ["again", "cat", "dog"]
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data")
    with pytest.raises(DataError, match=r"back' is a link to a folder that holds it"):
        ImageTree.walk(tmp_path / "data")


# --------------------------------------------------------------------------------------------------------- left out


def test_every_file_that_is_left_out_is_counted_and_named() -> None:
    tree = read("cat/0.png", "cat/0.xml", "cat/1.xml", "dog/0.jfif", "README", "split.csv", ignored=("split.csv",))
    assert tree.left_out == ("README", "cat/0.xml", "cat/1.xml")
    assert tree.notes() == [
        "3 files are no image and left out: 2 .xml, 1 without a suffix (README, cat/0.xml, cat/1.xml)"
    ]


def test_folders_without_an_image_are_named() -> None:
    folders = ("cat", "dog", "empty", "notes", "notes/deeper", ".git")
    tree = read("cat/0.png", "dog/0.png", "notes/deeper/x.txt", folders=folders)
    assert tree.empty == ("empty", "notes")
    assert tree.notes()[1] == "2 folders are without an image: empty, notes"


def test_hidden_files_are_ignored_and_other_names_are_not() -> None:
    hidden = (".git/0.png", "cat/._0.png", "__MACOSX/cat/0.png", "cat/.x/0.png", ".DS_Store")
    tree = read("cat/0.png", "cat/__0.png", "__background__/0.png", *hidden)
    assert [image.name for image in tree.images] == ["__background__/0.png", "cat/0.png", "cat/__0.png"]
    assert tree.left_out == ()


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "avif", "heic", "HEIF", "jp2", "apng", "tga"])
def test_images_of_less_common_formats_are_images(suffix: str) -> None:
    assert not read(f"cat/0.{suffix}").left_out


@given(st.lists(st.sampled_from(["a", "b", "test", "train", "x.png", "y.txt"]), min_size=1, max_size=4))
def test_every_file_is_an_image_left_out_or_an_error(parts: list[str]) -> None:
    names = {"c/d/0.png", "c/e/0.png", "/".join(["c", *parts, "z.png"]), "/".join(["c", *parts, "z.txt"])}
    try:
        tree = read(*names)
    except DataError:
        return
    assert sorted([image.name for image in tree.images] + list(tree.left_out)) == sorted(names)


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("notes.txt",), "'data' holds no image. It needs folders."),
        (("train/cat/0.png", "test/0.png"), "images outside a class's folder: test/0.png. It needs folders."),
        (("cat/0.png", "0.png"), "images outside a class's folder: 0.png"),
        (("train/0.png", "val/0.png", "test/0.png"), "images outside a class's folder: test/0.png, train/0.png"),
        (("caf\udce9/0.png",), r"'data' has names that are not UTF-8 or have control characters: caf\udce9/0.png."),
        (("cat/\x1b[2J.png",), r"control characters: cat/\x1b[2J.png. Rename them."),
        (("cat\n/0.png", "café/ok.png"), r"control characters: cat\n/0.png. Rename them."),
        (("val/cat/0.png", "validation/dog/0.png"), "two folders of the split val, 'val' and 'validation'"),
    ],
)
def test_trees_that_cannot_be_read_are_explained(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError) as error:
        read(*names)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["", "cat", "trains", "latest", "evaluation", "split"])
def test_other_names_are_no_split(name: str) -> None:
    assert split_of_folder(name) is None

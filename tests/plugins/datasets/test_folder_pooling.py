"""A folder with the same classes in train, val and test: refused by names; pooled, and cut by class or by group."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_folder import ALL, CLASSES, image_split, load, names, paths, write, write_classes, write_splits, write_table

from mamlbench.api import SPLITS, DataError
from mamlbench_plugins.datasets.folder import Folder
from mamlbench_plugins.datasets.folder_files import group_of_class, split_groups_by_seed

FRUITS = ("Melon-A", "Melon-B", "melon c", "Apple 1", "Apple 2", "Fig", "Pear_x", "Pear_y", "Plum", "Kiwi")


def write_shared(folder: Path, classes: tuple[str, ...] = FRUITS, splits: tuple[str, ...] = SPLITS) -> Path:
    """Every class in every split: photographs of the same file names, with other contents."""
    for split in splits:
        for name in classes:
            write(folder / split / name, f"{split} {name}", count=2)
    return folder


def refuse(folder: Path, **options: object) -> None:
    Folder.refuse_shared_classes(Folder.Options.model_validate(options), paths(folder))


def test_shared_classes_are_refused_by_names_with_the_option_to_use(tmp_path: Path) -> None:
    for split in SPLITS:
        for name in FRUITS:
            (tmp_path / "data" / split / name).mkdir(parents=True)
            (tmp_path / "data" / split / name / "0.png").write_bytes(b"this is never decoded")
    with pytest.raises(DataError) as error:
        refuse(tmp_path / "data")
    message = str(error.value)
    assert "train and val share 10 classes (Apple 1, Apple 2, Fig, Kiwi, Melon-A and 5 more)" in message
    assert all(words in message for words in ("dataset.split_by=class", "dataset.split_by=group", "--allow-leak"))
    refuse(tmp_path / "data", split_by="class")
    refuse(tmp_path / "data", min_images=2)
    refuse(tmp_path / "nowhere")


def test_splits_without_a_common_class_are_not_refused(tmp_path: Path) -> None:
    refuse(write_classes(tmp_path / "classes"))
    folder = write_splits(tmp_path / "data")
    refuse(folder)
    train = next(path for path in (folder / "train").iterdir() if path.is_dir())
    write(folder / "test" / train.name, "one more")
    with pytest.raises(DataError, match="train and test share 1 class "):
        refuse(folder)


def test_the_same_name_in_two_encodings_is_one_class(tmp_path: Path) -> None:
    for split, name in (("train", "caf\u00e9"), ("val", "fly"), ("test", "cafe\u0301")):
        write(tmp_path / "data" / split / name, split)
    with pytest.raises(DataError, match="train and test share 1 class "):
        refuse(tmp_path / "data")


def test_pooled_classes_have_the_images_of_all_splits_and_one_split(tmp_path: Path) -> None:
    dataset = load(write_shared(tmp_path / "data"), split_by="class", split_seed=3)
    split_names = names(dataset)
    assert sorted(name for classes in split_names.values() for name in classes) == sorted(FRUITS)
    assert [len(split_names[split]) for split in SPLITS] == [6, 2, 2]
    assert dataset.origin == "folders of splits, pooled and split by their names (seed 3)"
    melon = next(split for split in (image_split(dataset, name) for name in SPLITS) if "Melon-A" in split.class_names)
    assert melon.sizes[melon.class_names.index("Melon-A")] == 6, "files of the same name in several splits all count"
    hashes = {row.tobytes() for split in SPLITS for row in image_split(dataset, split).image_hashes}
    assert len(hashes) == 6 * len(FRUITS)
    assert names(load(tmp_path / "data", split_by="class", split_seed=3)) == split_names
    assert names(load(tmp_path / "data", split_by="class", split_seed=4)) != split_names


@pytest.mark.parametrize("seed", range(8))
def test_classes_of_a_group_never_face_each_other(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "data"
    dataset = load(write_shared(folder), split_by="group", split_seed=seed)
    groups = {split: {group_of_class(name) for name in classes} for split, classes in names(dataset).items()}
    assert sum(map(len, groups.values())) == len(set().union(*groups.values())) == 6
    assert all(groups.values()) and f"split by groups of their names (seed {seed})" in dataset.origin
    assert any(
        "10 classes are split by 6 groups: apple, fig, kiwi, melon, pear, plum" in note for note in dataset.notes
    )


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("Melon-A", "melon"),
        ("melon_b2", "melon"),
        ("Melon/C", "melon"),
        ("Fruit/Melon-A", "fruit"),
        ("001.Black_footed_Albatross", "black"),
        ("\u00c4pfel 3", "\u00e4pfel"),
        ("17", "17"),
    ],
)
def test_the_group_of_a_class_is_the_first_word_of_its_top_folder(name: str, group: str) -> None:
    assert group_of_class(name) == group


@given(
    classes=st.lists(st.sampled_from([f"{a}-{b}" for a in "abcdefgh" for b in "xyz"]), min_size=1, unique=True),
    seed=st.integers(0, 99),
)
def test_groups_are_split_whole_and_every_class_once(classes: list[str], seed: int) -> None:
    if len({group_of_class(name) for name in classes}) < 3:
        with pytest.raises(DataError, match="split_by=class"):
            split_groups_by_seed(classes, seed, 0.2, 0.2)
        return
    split, groups = split_groups_by_seed(classes, seed, 0.2, 0.2)
    assert sorted(c for members in split.values() for c in members) == list(range(len(classes)))
    homes = [{group_of_class(classes[c]) for c in members} for members in split.values()]
    assert sum(map(len, homes)) == len(groups) and all(homes)
    order = sorted(range(len(classes)), key=lambda c: classes[c])
    again, _ = split_groups_by_seed([classes[c] for c in order], seed, 0.2, 0.2)
    assert {s: sorted(classes[order[c]] for c in m) for s, m in again.items()} == {
        s: sorted(classes[c] for c in m) for s, m in split.items()
    }, "the order of the names changes nothing"


def test_class_folders_are_cut_by_group_too(tmp_path: Path) -> None:
    for name in FRUITS:
        write(tmp_path / "data" / name, name)
    dataset = load(tmp_path / "data", split_by="group")
    assert dataset.origin == "class folders, split by groups of their names (seed 0)"


def test_a_missing_split_is_refused_before_decoding_and_pooling_helps(tmp_path: Path) -> None:
    folder = write_shared(tmp_path / "data", splits=("train", "test"))
    for path in (folder / "train").rglob("*.png"):
        path.write_bytes(b"never decoded")
    with pytest.raises(DataError, match=r"No classes for val .* dataset.split_by=class"):
        load(folder)
    dataset = load(write_shared(tmp_path / "other", splits=("train", "test")), split_by="class")
    assert all(names(dataset).values())


def test_pooling_and_a_table_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contradict each other"):
        load(write_table(write_classes(tmp_path / "data")), split_by="class", split_file="split.csv")


def test_pooled_images_have_a_cache_of_their_own(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    assert names(load(folder)) == CLASSES
    assert sorted(name for split in names(load(folder, split_by="class")).values() for name in split) == sorted(ALL)
    assert names(load(folder)) == CLASSES
    copy = Folder.find_local_copy(Folder.Options(image_size=16, split_by="class"), paths(folder))
    assert copy is not None and copy.form == "folders of splits"

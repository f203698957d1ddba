"""Tables, JSON files and pickles in place of folders: synthetic trees of the forms that people have."""

import csv
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from toy_folder import ALL, CLASSES, image, image_split, load, names, write, write_classes

from mamlbench.api import SPLITS
from mamlbench.errors import DataError, ExitCode

ROWS = [(f"{name}_{number}.png", name) for name in ALL for number in range(3)]
GROUPS = {"cat": "beasts", "dog": "beasts", "owl": "birds", "bee": "large insects", "fly": "large insects"}
TREES = {"elm": "large trees", "oak": "large trees"}


def meta_album(folder, *, header=("FILE_NAME", "CATEGORY", "SUPER_CATEGORY"), groups=True, images="images"):
    (folder / images).mkdir(parents=True)
    for file, _ in ROWS:
        image(file).save(folder / images / file)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(header)
        rows.writerows(
            (name, label, {**GROUPS, **TREES}[label] if groups else "")[: len(header)] for name, label in ROWS
        )
    (folder / "info.json").write_text(json.dumps({"dataset_name": "Toy", "total_categories": 7}))
    return folder


def closer_look(folder, *, root="/home/someone/filelists/CUB/images", words=("base", "val", "novel")):
    labels = list(ALL)
    for word, (_, classes) in zip(words, CLASSES.items(), strict=True):
        for name in classes:
            write(folder / "images" / name, name)
        paths = [f"{root}/{name}/{number}.png" for name in classes for number in range(3)]
        numbers = [labels.index(name) for name in classes for _ in range(3)]
        content = {"label_names": labels, "image_names": paths, "image_labels": numbers}
        (folder / f"{word}.json").write_text(json.dumps(content))
    return folder


def easyfsl(folder):
    for split, classes in CLASSES.items():
        for name in classes:
            write(folder / "images" / f"001.{name}", name)
        roots = [f"./data/CUB/images/001.{name}" for name in classes]
        (folder / f"{split}.json").write_text(json.dumps({"class_names": list(classes), "class_roots": roots}))
    return folder


def metaoptnet(folder, *, shape=(32, 32, 3), keys=("data", "labels"), prefix="CIFAR_FS", **extra):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for split, classes in CLASSES.items():
        labels = [number for number in range(len(classes)) for _ in range(3)]
        pixels = random.integers(0, 255, (len(labels), *shape), dtype=np.uint8)
        content = dict(zip(keys, (pixels, labels), strict=True)) | extra
        (folder / f"{prefix}_{split}.pickle").write_bytes(pickle.dumps(content, protocol=2))
    return folder


def test_a_table_like_meta_albums_names_classes_and_groups(tmp_path):
    dataset = load(meta_album(tmp_path / "BRD_Mini"), split_by="group")
    assert dataset.origin == "table labels.csv, split by groups (seed 0)"
    split_of = {name: split for split, classes in names(dataset).items() for name in classes}
    assert sorted(split_of) == list(ALL)
    assert (
        split_of["elm"] == split_of["oak"] and split_of["cat"] == split_of["dog"] and split_of["bee"] == split_of["fly"]
    )
    assert split_of["elm"] != split_of["bee"] or len({split_of["elm"], split_of["bee"]}) == 1, "not joined by 'large'"
    assert "4 groups: beasts, birds, large insects, large trees" in dataset.notes[-1]
    assert dataset.options.image_size == 16 and len(image_split(dataset, "test").rows) % 3 == 0


def test_a_table_without_groups_is_split_by_class(tmp_path):
    dataset = load(meta_album(tmp_path / "a", groups=False))
    assert dataset.origin == "table labels.csv, split by their names (seed 0)"
    assert "table labels.csv in" in dataset.notes[0] and "has no splits: its 7 classes" in dataset.notes[0]
    same = load(write_classes(tmp_path / "b"))
    assert names(dataset) == names(same), "the split of class folders with the same names"


def test_a_table_may_have_splits_paths_without_suffix_and_other_columns(tmp_path):
    folder = meta_album(tmp_path / "a", images="deep/pictures")
    split_of = {name: split for split, classes in CLASSES.items() for name in classes}
    lines = [f"x/{file.removesuffix('.png')},{split_of[label]},{label},7" for file, label in ROWS]
    (folder / "labels.csv").write_text("\n".join(["picture,Split,kind,n", *lines]))
    with pytest.raises(DataError, match=r"no table 'labels.csv' of images and classes\. Name another"):
        load(folder, table="labels.csv")
    dataset = load(folder, file_column="Picture", class_column="kind")
    assert names(dataset) == {split: tuple(sorted(classes)) for split, classes in CLASSES.items()}
    with pytest.raises(DataError, match="has no column sort; it has picture, Split, kind, n"):
        load(folder, class_column="sort", file_column="picture")


def test_missing_and_other_images_are_counted(tmp_path):
    folder = meta_album(tmp_path / "a")
    (folder / "images" / "cat_0.png").unlink()
    image("more").save(folder / "images" / "more.png")
    notes = "; ".join(load(folder).notes)
    assert "1 images of table labels.csv are missing and left out: cat_0.png" in notes
    assert "1 images are not in it and left out: images/more.png" in notes


def test_other_labels_are_other_images(tmp_path):
    folder = meta_album(tmp_path / "a")
    before = load(folder).content_hash
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("cat_1.png,cat", "cat_1.png,dog"))
    assert load(folder).content_hash != before


@pytest.mark.parametrize("make", [closer_look, easyfsl])
def test_json_files_of_splits(tmp_path, make):
    dataset = load(make(tmp_path / "CUB"))
    assert names(dataset) == {split: tuple(sorted(classes)) for split, classes in CLASSES.items()}
    assert dataset.origin.startswith("tables ") and ".json" in dataset.origin
    assert names(load(tmp_path / "CUB", split_by="class")) != names(dataset)


def test_json_files_in_an_archive(tmp_path):
    folder = closer_look(tmp_path / "CUB")
    with zipfile.ZipFile(tmp_path / "cub.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path))
    assert load(tmp_path, path="cub.zip").content_hash == load(folder).content_hash


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"image_names": ["a"], "image_labels": [1, 2]}', "has 1 image_names and 2 image_labels"),
        ('{"image_names": ["a"], "image_labels": [1], "label_names": ["x"]}', "'a' has the label 1, and there are 1"),
        ('{"class_names": ["a"], "class_roots": []}', "has 1 class_names and 0 class_roots"),
        ('{"class_names": ["a"], "class_roots": ["x/y"]}', r"none of its folders has an image \(x/y\)"),
        ('{"image_names": ["q/0.png"], "image_labels": ["z"]}', "may be any of .*write its folder too"),
        (
            '{"image_names": ["q.png"], "image_labels": ["z"]}',
            r"none of its 1 images is there \(q.png\).*dataset.table",
        ),
        ('{"image_names"', "is not JSON"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path, content, problem):
    folder = write_classes(tmp_path / "a")
    (folder / "train.json").write_text(content)
    with pytest.raises(DataError, match=problem):
        load(folder)
    assert sorted(sum(names(load(folder, table="none")).values(), ())) == list(ALL)


def test_one_image_has_one_class(tmp_path):
    folder = meta_album(tmp_path / "a")
    with (folder / "labels.csv").open("a") as file:
        file.write("cat_0.png,dog,beasts\n")
    with pytest.raises(DataError, match=r"'cat_0.png' is of 'cat' and of 'dog'"):
        load(folder)


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "filename,size\nx,2\n"])
def test_another_table_beside_class_folders_is_no_list(tmp_path, content):
    folder = write_classes(tmp_path / "a")
    (folder / "labels.csv").write_text(content)
    assert load(folder).origin.startswith("class folders")


def test_pickles_of_metaoptnet(tmp_path):
    dataset = load(metaoptnet(tmp_path / "CIFAR-FS"), image_size=32)
    assert dataset.origin == "pickles of images and labels"
    assert names(dataset)["train"] == ("train class 0", "train class 1", "train class 2")
    with (tmp_path / "CIFAR-FS" / "CIFAR_FS_test.pickle").open("rb") as file:
        pixels = pickle.load(file)["data"]
    split = image_split(dataset, "test")
    assert np.array_equal(split.images[int(split.rows[0])].numpy(), pixels[0].transpose(2, 0, 1)), "pixels are kept"


def test_pickles_with_names_of_classes_and_other_images_beside(tmp_path):
    words = {"n01": 0, "n02": 1, "n03": 2}
    folder = tmp_path / "mini"
    metaoptnet(folder, catname2label=words, prefix="miniImageNet_category_split")
    (folder / "miniImageNet_category_split_train.pickle").rename(folder / "m_train_phase_train.pickle")
    (folder / "m_train_phase_val.pickle").write_bytes(b"never read")
    dataset = load(folder)
    assert names(dataset)["train"] == ("n01", "n02", "n03")
    with pytest.raises(DataError, match="train and val share 2 classes"):
        dataset.refuse_shared_classes(dataset.options, dataset.paths)


def test_encoded_images_as_tiered_imagenet_has_them(tmp_path):
    for split, classes in CLASSES.items():
        encoded = []
        for label in range(len(classes)):
            for number in range(3):
                buffer = io.BytesIO()
                image(f"{split}{label}{number}").save(buffer, "PNG")
                encoded.append(np.frombuffer(buffer.getvalue(), np.uint8))
        labels = np.repeat(np.arange(len(classes)), 3)
        (tmp_path / f"{split}_images_png.pkl").write_bytes(pickle.dumps(encoded, protocol=2))
        content = {"label_specific": labels, "label_specific_str": list(classes)}
        (tmp_path / f"{split}_labels.pkl").write_bytes(pickle.dumps(content, protocol=2))
    dataset = load(tmp_path)
    assert names(dataset) == {split: tuple(sorted(classes)) for split, classes in CLASSES.items()}
    assert all(len(image_split(dataset, split).rows) == 3 * len(CLASSES[split]) for split in SPLITS)


@pytest.mark.parametrize("broken", [{"shape": (8,)}, {"keys": ("x", "labels")}, {"keys": ("data", "label")}])
def test_pickles_of_something_else_are_refused(tmp_path, broken):
    with pytest.raises(DataError, match="is no pickle of images: it needs"):
        load(metaoptnet(tmp_path / "a", **broken))


def test_a_run_on_a_table_through_the_command_line(project):
    meta_album(project.path / "album")
    arguments = ["run", "--algo", "protonet", "--dataset", "folder", "--data-dir", "album", "--ways", "2", "-q"]
    arguments += ["--iterations", "1", "--meta-batch-size", "2", "--validation-episodes", "2", "--test-episodes", "2"]
    arguments += [
        "-o",
        "dataset.image_size=16",
        "-o",
        "dataset.val=0.3",
        "-o",
        "dataset.test=0.3",
        "-o",
        "backbone.width=4",
    ]
    project.run(*arguments, "--queries", "1", "--device", "cpu")
    (record,) = project.records()
    assert record.data.origin == "table labels.csv, split by their names (seed 0)"
    info = project.run("info", "folder", "--data-dir", "album", "-o", "image_size=16", "--json").json()
    assert info[0]["dataset_status"]["local_copy"]["form"] == "table labels.csv"
    closer_look(project.path / "cub", words=("base", "val", "base2"))
    wrong = project.run(*("cub" if word == "album" else word for word in arguments), expect=ExitCode.USAGE)
    assert "No classes for test" in wrong.err

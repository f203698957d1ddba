"""A model tested on other data than its run's: whether it has seen them, whatever their names are."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from toy_omniglot import TOY, drawing, write_folders

from mamlbench.api import hash64, seed_key
from mamlbench.errors import ExitCode
from mamlbench.record import read_record

SPLITS = {"train": "abc", "val": "de", "test": "fg"}
SHAPE = ("-o", "dataset.image_size=28", "-o", "dataset.color=false")
NEW = {"train": "mno", "val": "pq", "test": "rs"}
"""Names of classes of another tree."""


def draw(path, name, turns=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = hash64(seed_key(name), np.arange(28 * 28)).astype(np.uint8).reshape(28, 28)
    Image.fromarray(np.rot90(pixels, turns)).save(path)


def write_tree(folder, splits, contents=None):
    """Three images of each class, as PNG files. The content is that of the path, or of ``contents`` for this class."""
    for split, names in splits.items():
        for name in names:
            for number in range(3):
                draw(folder / split / name / f"{number}.png", (contents or {}).get(name, name) + str(number))


@pytest.fixture
def trained(project):
    """Train a model on one tree; returns a function that trains it with other options."""
    write_tree(project.path / "animals", SPLITS)

    def train(*options, algorithm="protonet"):
        command = ["run", "--algo", algorithm, "--dataset", "folder", "--iterations", "1", "--meta-batch-size", "2"]
        command += ["--ways", "2", "--queries", "2", "--test-episodes", "4", "--validation-episodes", "2", "-q"]
        command += ["--train-ways", "2", "--train-queries", "1"] if algorithm == "protonet" else []
        command += ["--data-dir", "animals", "--device", "cpu", "--engine", "loop", "-o", "backbone.width=2"]
        project.run(*command, *SHAPE, *options)
        (record,) = project.records()
        return f"results/{record.name}.json"

    return train


def evaluate(project, path, *arguments):
    return project.run("evaluate", path, "--device", "cpu", "--json", *arguments).json()


def test_the_runs_own_test_data_are_not_seen(project, trained):
    path = trained()
    (record,) = project.records()
    assert record.test.seen.answer == "not seen" and record.test.dataset is None
    assert (record.training_data.classes, record.training_data.images) == (3, 9)
    assert (project.path / "results" / record.training_data.file).is_file()
    model = json.loads((project.path / "results" / record.name / "model.json").read_text())
    assert model["training_data"]["sha256"] == record.training_data.sha256
    again = evaluate(project, path, "--data-dir", "animals")
    assert again["seen"]["answer"] == "not seen" and again["dataset"] is None
    assert "test data" in project.run("evaluate", path, "--data-dir", "animals").out


def test_a_tree_that_shares_images_under_other_names_is_seen(project, trained):
    path = trained()
    write_tree(project.path / "copies", NEW, {"r": "b"})  # the test class r has the images of the training class b
    tested = evaluate(project, path, "--data-dir", "copies")
    assert tested["seen"] == {
        "answer": "seen",
        "classes": 1,
        "images": 3,
        "reasons": ["it was trained on 1 of 2 test classes (r) and 3 of 6 test images"],
    }
    shown = " ".join(project.run("evaluate", path, "--data-dir", "copies").out.split())
    assert "‡ transductive: it was trained on 1 of 2 test classes (r) and 3 of 6 test images" in shown


def test_a_tree_of_other_images_is_not_seen_although_its_splits_share_some(project, trained):
    path = trained()
    write_tree(project.path / "others", NEW, {"r": "m"})  # a leak of the tree, but not of the model
    tested = evaluate(project, path, "--data-dir", "others")
    assert tested["seen"]["answer"] == "not seen" and tested["leaks"] == []


def test_classes_of_the_same_name_with_other_images_are_unknown(project, trained):
    path = trained()
    write_tree(project.path / "others", {**NEW, "test": "as"}, {"a": "new"})
    seen = evaluate(project, path, "--data-dir", "others")["seen"]
    assert seen["answer"] == "unknown" and "(a) have the names of training classes" in seen["reasons"][0]


@pytest.mark.parametrize("rotations", ["none", "episode", "classes"])
def test_rotated_drawings_of_omniglot_are_seen_if_training_rotated(project, rotations):
    write_folders(project.path / "omniglot")
    command = ["run", "--algo", "protonet", "--dataset", "omniglot", "--iterations", "1", "--meta-batch-size", "2"]
    command += ["--ways", "2", "--train-ways", "2", "--test-episodes", "4", "--validation-episodes", "2", "-q"]
    command += ["--device", "cpu", "--engine", "loop", "-o", "backbone.width=2", "--data-dir", "omniglot"]
    project.run(*command, "-o", "dataset.split=alphabets", "-o", f"dataset.rotations={rotations}")
    (record,) = project.records()
    assert record.test.seen.answer == "not seen" and record.training_data.rotations == rotations
    for name in TOY:  # one character of the other tree's test half is one of training, turned upside down
        path = project.path / "turned" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_copy = name.startswith("images_evaluation/ULOG/character02")
        drawer = name[-6:-4]
        source = f"images_background/Braille/character01/0003_{drawer}.png" if is_copy else f"other {name}"
        with Image.open(io.BytesIO(drawing(source))) as image:
            image.rotate(180 if is_copy else 0).save(path)
    seen = evaluate(project, f"results/{record.name}.json", "--data-dir", "turned", "-o", "dataset.rotations=none")[
        "seen"
    ]
    known = (seen["answer"], seen["classes"], seen["images"])
    assert known == (("not seen", 0, 0) if rotations == "none" else ("seen", 1, 2))


def test_a_model_of_an_earlier_release_is_unknown(project, trained):
    path = trained()
    model = project.path / path.removesuffix(".json") / "model.json"
    description = json.loads(model.read_text())
    del description["training_data"]
    model.write_text(json.dumps(description))
    seen = evaluate(project, path, "--data-dir", "animals")["seen"]
    assert (seen["answer"], seen["reasons"]) == ("unknown", ["its model does not say what it was trained on"])
    description["training_data"] = {"file": "../secret", "sha256": 3}
    model.write_text(json.dumps(description))
    seen = evaluate(project, path, "--data-dir", "animals")["seen"]
    assert seen["answer"] == "unknown" and "cannot be read" in seen["reasons"][0]


def test_hashes_that_are_lost_are_unknown(project, trained):
    path = trained()
    (project.path / path.removesuffix(".json") / "training-data.npz").write_bytes(b"damaged")
    assert "SHA-256 differs" in evaluate(project, path, "--data-dir", "animals")["seen"]["reasons"][0]


def test_another_data_set_is_named_in_the_evaluation(project, trained):
    path = trained()
    tested = evaluate(project, path, "--dataset", "glyphs")
    assert tested["dataset"]["name"] == "glyphs" and tested["seen"]["answer"] == "not seen"
    assert tested["protocol"]["test_episodes"] == 4


def test_a_model_with_an_output_for_each_training_class_is_tested_on_data_with_others(project, trained):
    path = trained(algorithm="pretrain")
    write_tree(project.path / "others", {**NEW, "train": "mnoxyz"})
    assert evaluate(project, path, "--data-dir", "others")["seen"]["answer"] == "not seen"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "backbone.width=4"), "A trained model keeps its network and sampler: backbone.width cannot be changed"),
        (("--dataset", "sinusoid"), "trained for classification, and the tasks of 'sinusoid' are regression"),
        (("--dataset", "nowhere"), "nowhere"),
        (("-o", "dataset.color=true"), "does not fit examples of folder, [3, 28, 28]"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_one_sentence(project, trained, arguments, message):
    path = trained()
    done = project.run("evaluate", path, "--data-dir", "animals", *arguments, expect=ExitCode.USAGE)
    assert message in " ".join(done.err.split())


def test_test_classes_that_the_first_model_was_trained_on_are_seen(project):
    write_tree(project.path / "first", {"train": "afg", "val": "de", "test": "xy"})
    write_tree(project.path / "second", {"train": "abc", "val": "de", "test": "fg"})
    common = ["--ways", "2", "--test-episodes", "4", "--validation-episodes", "2", "--meta-batch-size", "2", "-q"]
    common += ["-o", "backbone.width=2", "--dataset", "folder", "--device", "cpu", "--engine", "loop", *SHAPE]
    common += ["--iterations", "1"]
    project.run("run", "--algo", "pretrain", *common, "--data-dir", "first", "--results-dir", "one")
    (first,) = (project.path / "one").glob("*.json")
    for name, algorithm, start in (("two", "finetune", first), ("three", "pretrain", "two")):
        path = start if name == "two" else next((project.path / start).glob("*.json"))
        command = ("run", "--algo", algorithm, *common, "--data-dir", "second", "--results-dir", name)
        project.run(*command, "--init", str(path))
        (record,) = map(read_record, (project.path / name).glob("*.json"))
        assert record.test.seen.answer == "seen" and record.test.seen.classes == 2, name

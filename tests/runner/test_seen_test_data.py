"""Whether test classes or images were in training: by pixels under any name or rotation, or by names that identify."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mamlbench.api import ImageSplit
from mamlbench.runner.datasets.seen_test_data import (
    TrainedOn,
    combined,
    is_other_data,
    seen_by_declaration,
    seen_by_training,
    trained_on,
)

PER_CLASS = 4


def pixels(classes, first=0):
    """Random images, four of each class, the same for the same number of the class."""
    draw = [torch.Generator().manual_seed(number) for number in range(first, first + classes)]
    return torch.cat([torch.randint(0, 256, (PER_CLASS, 1, 8, 8), generator=g, dtype=torch.uint8) for g in draw])


def split(images, names="", rotations="none"):
    count = len(images) // PER_CLASS
    names = tuple(names or (f"class {number}" for number in range(count)))
    return ImageSplit(images, np.arange(count + 1) * PER_CLASS, names, rotations)


def dataset(train, published=None):
    return SimpleNamespace(splits={"train": train}, published_classes=lambda: published)


def answer(train, test, *, published=None, name="folder"):
    return seen_by_training(trained_on(dataset(train, published), "folder"), test, name)


def test_other_classes_under_other_names_are_not_seen():
    seen = answer(split(pixels(5)), split(pixels(3, 100), "abc"))
    assert (seen.answer, seen.classes, seen.images, seen.reasons) == ("not seen", 0, 0, [])


def test_an_image_under_another_name_in_another_class_is_seen():
    test = pixels(3, 100)
    test[5] = pixels(5)[17]
    seen = answer(split(pixels(5)), split(test, "abc"))
    assert (seen.answer, seen.classes, seen.images) == ("seen", 1, 1)
    assert seen.reasons == ["it was trained on 1 of 3 test classes (b) and 1 of 12 test images"]


def test_a_class_of_the_same_images_in_another_order_is_seen_as_a_whole():
    images = pixels(5)
    seen = answer(split(images), split(torch.cat([images[8:12].flip(0), pixels(1, 100)]), "ab"))
    assert (seen.answer, seen.classes, seen.images) == ("seen", 1, PER_CLASS)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize(
    ("training", "testing", "expected"),
    [
        ("none", "none", "not seen"),  # a rotated character is another one if nothing is rotated
        ("classes", "none", "seen"),
        ("episode", "none", "seen"),
        ("none", "classes", "seen"),
        ("none", "episode", "seen"),
        ("classes", "classes", "seen"),
    ],
)
def test_a_rotated_copy_is_seen_if_training_or_test_rotates(training, testing, expected, turns):
    copies = torch.rot90(pixels(2), turns, (2, 3))
    seen = answer(split(pixels(5), rotations=training), split(copies, "ab", testing))
    assert (seen.answer, seen.images) == (expected, 2 * PER_CLASS * (expected == "seen"))


@pytest.mark.parametrize("rotations", ["none", "episode", "classes"])
def test_rotations_count_no_class_and_no_image_twice(rotations):
    images = pixels(5)
    seen = answer(split(images, rotations=rotations), split(images[:8], "ab", rotations))
    assert (seen.answer, seen.classes, seen.images) == ("seen", 2, 2 * PER_CLASS)
    assert "2 of 2 test classes" in seen.reasons[0] and "8 of 8 test images" in seen.reasons[0]


def test_a_name_identifies_a_class_in_a_data_set_with_published_splits_alone():
    train, test = split(pixels(2), ("cat", "dog")), split(pixels(2, 100), ("cat", "owl"))
    seen = answer(train, test, published={"train": ["cat", "dog"]})
    assert (seen.answer, seen.classes, seen.images) == ("seen", 1, 0)
    assert seen.reasons == ["it was trained on 1 of 2 test classes (cat)"]
    for settings in ({}, {"published": {"train": ["cat"]}, "name": "another"}):
        unclear = answer(train, test, **settings)
        assert (unclear.answer, unclear.classes) == ("unknown", 0)
        assert unclear.reasons == ["1 of 2 test classes (cat) have the names of training classes and other images"]


def test_a_model_that_says_nothing_and_data_without_images_are_unknown():
    test = split(pixels(2))
    assert seen_by_training("a reason", test, "folder").reasons == ["a reason"]
    assert trained_on(dataset(object()), "folder") is None
    known = trained_on(dataset(test), "folder")
    assert seen_by_training(known, object(), "folder").answer == "unknown"


def test_images_of_another_size_cannot_be_compared():
    known = trained_on(dataset(split(pixels(2))), "folder")
    seen = seen_by_training(known, split(pixels(2)[:, :, :4, :4].contiguous()), "folder")
    assert seen.answer == "unknown" and "[1, 4, 4] cannot be compared with those of [1, 8, 8]" in seen.reasons[0]


def test_only_other_training_images_are_other_data():
    own = trained_on(dataset(split(pixels(3))), "folder")
    again = TrainedOn(own.data, trained_on(dataset(split(pixels(3), "abc")), "folder").hashes)
    other = trained_on(dataset(split(pixels(3, 50))), "folder")
    assert [is_other_data(model, own) for model in (again, other, "unknown", None)] == [False, True, False, False]


def test_what_one_part_of_a_network_has_seen_the_network_has():
    no = seen_by_declaration((), ("a", "b"))
    yes = seen_by_declaration({"b", "z"}, ("a", "b"))
    unknown = seen_by_training("a reason", split(pixels(2)), "folder")
    assert (no.answer, yes.answer, yes.classes) == ("not seen", "seen", 1)
    assert yes.reasons == ["its weights from elsewhere were trained on 1 of 2 test classes (b)"]
    assert [combined(parts).answer for parts in ([no, no], [no, unknown], [unknown, yes])] == [
        "not seen",
        "unknown",
        "seen",
    ]
    assert combined([unknown, yes]).reasons == [*unknown.reasons, *yes.reasons]

import csv

import numpy as np
import pytest
from PIL import Image

from mamlbench.record import Adaptation, HeldOut, Interval, LabeledImage
from mamlbench.report.adaptation.contact_sheet import FRAMES, MOST, contact_sheet
from mamlbench.report.adaptation.predictions import in_words, predictions_csv

CLASSES = ["cat, gray", 'a "dog"']


@pytest.fixture
def make(tmp_path):
    """An adaptation with images on disk: ``make(3)`` has three unlabeled ones."""

    def make(unlabeled, size=(30, 20)):
        images = [
            LabeledImage(file=f"given{number}.png", use="given", truth=name) for number, name in enumerate(CLASSES)
        ]
        images += [
            LabeledImage(
                file="right.png", use="held out", truth=CLASSES[0], label=CLASSES[0], probabilities=[0.7, 0.3]
            ),
            LabeledImage(
                file="wrong.png", use="held out", truth=CLASSES[1], label=CLASSES[0], probabilities=[0.6, 0.4]
            ),
        ]
        images += [
            LabeledImage(file=f"new{number:03}.png", use="unlabeled", label=CLASSES[0], probabilities=[0.9, 0.1])
            for number in range(unlabeled)
        ]
        for image in images:
            Image.new("RGB", size, "white").save(tmp_path / image.file)
        score = HeldOut(images=2, right=1, accuracy=Interval(mean=0.5, low=0.1, high=0.9), untrained_right=0)
        return Adaptation(
            model="m",
            algorithm="maml",
            dataset="omniglot",
            folder=str(tmp_path),
            classes=CLASSES,
            steps=3,
            mode="inductive",
            images=images,
            held_out=score,
        )

    return make


def test_csv_has_a_row_for_each_image_that_was_labeled_whatever_the_classes_are_called(make):
    found = list(csv.DictReader(predictions_csv(make(1)).splitlines()))
    assert [row["file"] for row in found] == ["right.png", "wrong.png", "new000.png"]
    assert found[1]["truth"] == 'a "dog"' and found[1]["label"] == "cat, gray"
    assert (found[2]["truth"], found[2]["p(cat, gray)"], found[2]['p(a "dog")']) == ("", "0.900000", "0.100000")


def test_words_say_how_well_it_does_and_beside_what(make):
    said = " ".join(in_words(make(2)))
    assert 'Learned from 1 a "dog", 1 cat, gray: maml trained on omniglot, 3 adaptation steps, inductive.' in said
    assert "Labeled: 2 cat, gray." in said and "1 of 2 right: 50 % (95 % interval 10 to 90 %)" in said
    assert "Untrained network, given the same adaptation: 0 of 2; guessing: 50 %" in said


def frames(sheet):
    """How many pixels have the color of each kind of frame."""
    pixels = np.asarray(sheet).reshape(-1, 3)
    colors = {kind: [int(code[at : at + 2], 16) for at in (1, 3, 5)] for kind, code in FRAMES.items()}
    return {kind: int((pixels == color).all(1).sum()) for kind, color in colors.items()}


def test_the_sheet_frames_images_by_what_became_of_them(make):
    one, three = frames(contact_sheet(make(1))), frames(contact_sheet(make(3)))
    assert three["unlabeled"] == 3 * one["unlabeled"] > 0
    assert one["right"] == one["wrong"] == one["unlabeled"] > 0, "there is one of each"
    assert 2 * one["right"] <= one["given"] < 3 * one["right"], "two, and gray specks at the edges of letters"


def test_a_sheet_does_not_grow_without_end(make):
    full, more = contact_sheet(make(MOST)), contact_sheet(make(MOST + 50))
    assert full.size == more.size and more.width > 900


@pytest.mark.parametrize("size", [(5000, 5), (5, 5000), (1, 1)])
def test_images_of_any_shape_stay_in_their_frames(make, size):
    assert contact_sheet(make(2, size)).size == contact_sheet(make(2)).size

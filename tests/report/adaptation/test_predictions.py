"""Predictions on a user's own images as CSV, text and contact sheet."""

import csv

import numpy as np
import pytest
from PIL import Image

from mamlbench.record import Adaptation, HeldOut, Interval, LabeledImage
from mamlbench.report.adaptation.contact_sheet import FRAMES, MAX_IMAGES, contact_sheet
from mamlbench.report.adaptation.predictions import predictions_csv, summary_lines

CLASSES = ["cat, gray", 'a "dog"']


@pytest.fixture
def make(tmp_path):
    """Make an adaptation with images on disk: ``make(3)`` has three unlabeled ones."""

    def make(unlabeled, size=(30, 20)):
        images = [
            LabeledImage(file=f"given{number}.png", use="support", truth=name) for number, name in enumerate(CLASSES)
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


def test_csv_has_a_row_per_predicted_image_whatever_the_class_names(make):
    rows = list(csv.DictReader(predictions_csv(make(1)).splitlines()))
    assert [row["file"] for row in rows] == ["right.png", "wrong.png", "new000.png"]
    assert rows[1]["truth"] == 'a "dog"' and rows[1]["label"] == "cat, gray"
    assert (rows[2]["truth"], rows[2]["p(cat, gray)"], rows[2]['p(a "dog")']) == ("", "0.900000", "0.100000")


def test_the_summary_gives_the_accuracy_and_its_baselines(make):
    text = " ".join(summary_lines(make(2)))
    assert 'Learned from 1 a "dog", 1 cat, gray: maml trained on omniglot, 3 adaptation steps, inductive.' in text
    assert "Labeled: 2 cat, gray." in text and "1 of 2 correct, 50 % (95 % confidence interval 10 to 90 %)" in text
    assert "Untrained network with the same adaptation: 0 of 2 correct. Chance: 50 %" in text


def frames(sheet):
    """Count the pixels with the color of each kind of frame."""
    pixels = np.asarray(sheet).reshape(-1, 3)
    colors = {kind: [int(code[start : start + 2], 16) for start in (1, 3, 5)] for kind, code in FRAMES.items()}
    return {kind: int((pixels == color).all(1).sum()) for kind, color in colors.items()}


def test_the_color_of_a_frame_shows_the_use_and_correctness_of_an_image(make):
    one, three = frames(contact_sheet(make(1))), frames(contact_sheet(make(3)))
    assert three["unlabeled"] == 3 * one["unlabeled"] > 0
    assert one["correct"] == one["wrong"] == one["unlabeled"] > 0, "there is one of each"
    assert 2 * one["correct"] <= one["support"] < 3 * one["correct"], "two, and gray pixels at the edges of letters"


def test_the_height_of_a_sheet_is_limited(make):
    full, more = contact_sheet(make(MAX_IMAGES)), contact_sheet(make(MAX_IMAGES + 50))
    assert full.size == more.size and more.width > 900


@pytest.mark.parametrize("size", [(5000, 5), (5, 5000), (1, 1)])
def test_images_of_any_shape_stay_in_their_frames(make, size):
    assert contact_sheet(make(2, size)).size == contact_sheet(make(2)).size

"""A photo collection with the same classes in train, val and test: refused by names, and run with dataset.split_by."""

import numpy as np
import pytest
from PIL import Image

from mamlbench.errors import ExitCode

FRUITS = ("Melon-A", "Melon-B", "Apple 1", "Fig", "Pear", "Plum", "Kiwi")
RUN = ["run", "--algo", "protonet", "--dataset", "folder", "--data-dir", "photos", "--device", "cpu", "-q"]
RUN += ["--ways", "2", "--train-ways", "2", "--test-episodes", "4", "--validation-episodes", "2", "--iterations", "1"]
RUN += ["--meta-batch-size", "2", "--train-queries", "1", "--engine", "loop", "-o", "backbone.width=2"]
RUN += ["-o", "dataset.image_size=16", "-o", "dataset.val=0.3", "-o", "dataset.test=0.3"]


@pytest.fixture
def photos(project):
    generator = np.random.default_rng(0)
    for split in ("Training", "Validation", "Test"):
        for name in FRUITS:
            folder = project.path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                Image.fromarray(generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return project


def test_it_is_refused_before_an_image_is_decoded(photos, monkeypatch):
    monkeypatch.setattr("mamlbench.data.image_decoding.ImageFormat.decode", lambda *_: pytest.fail("decoded"))
    for seeds in ("1", "2"):
        done = photos.run(*RUN, "--seeds", seeds, expect=ExitCode.USAGE)
        assert "train and val share 7 classes" in done.err and "-o dataset.split_by=class" in done.err
        assert len(done.err.strip().splitlines()) == 1
    assert not photos.records()


@pytest.mark.parametrize("how", ["class", "group"])
def test_it_runs_with_the_option_which_is_recorded(photos, how):
    photos.run(*RUN, "-o", f"dataset.split_by={how}", "-o", "dataset.split_seed=5")
    (record,) = photos.records()
    options = record.spec.dataset.options
    assert (record.status, options["split_by"], options["split_seed"]) == ("finished", how, 5)
    assert "pooled and split by" in record.data.origin and "(seed 5)" in record.data.origin
    assert sum(record.data.split_sizes.values()) == len(FRUITS) and record.test.seen.answer == "not seen"


def test_a_leak_that_is_allowed_still_runs(photos):
    photos.run(*RUN, "--allow-leak")
    (record,) = photos.records()
    assert record.status == "finished" and any("train and test share 7 classes" in leak for leak in record.test.leaks)

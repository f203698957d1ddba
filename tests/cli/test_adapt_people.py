"""``mamlbench adapt`` for people: self-contained models, corrections, sorted copies, unsure labels, damaged files."""

import csv
import json
import shutil

import pytest
from toy_drawings import call, draw, draw_folder, rows, train, written

import mamlbench
from mamlbench.errors import ConfigError, ExitCode


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prepared_cache):
    """The record of a small model on glyphs."""
    return {**train(tmp_path_factory.mktemp("trained"), prepared_cache, "fomaml"), "cache": prepared_cache}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, trained):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(trained["cache"]))
    return tmp_path


def test_a_model_needs_none_of_its_training_data(here, trained, monkeypatch):
    """The data set cannot be loaded, and its plugin's cache is empty."""
    folder = draw_folder(here / "shapes")
    expected = mamlbench.adapt(trained["fomaml"], folder)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(here / "empty"))
    monkeypatch.setattr("mamlbench.runner.adapt.adapt_model.load_dataset", None)
    assert mamlbench.adapt(trained["fomaml"], folder) == expected
    assert not list(here.glob("empty/*.safetensors"))
    described = json.loads((trained["fomaml"].with_suffix("") / "model.json").read_text())["inputs"]
    assert described["image_size"] == 28 and described["channels"] == 1 and described["polarity"] in {0, 1}
    assert len(described["classes"]) == described["outputs"] > 20


def test_an_earlier_model_reads_its_training_data(here, trained):
    shutil.copytree(trained["fomaml"].with_suffix(""), here / "earlier")
    description = here / "earlier" / "model.json"
    content = json.loads(description.read_text())
    inputs = content.pop("inputs")
    description.write_text(json.dumps(content))
    folder = draw_folder(here / "shapes")
    old, new = mamlbench.adapt(description, folder), mamlbench.adapt(trained["fomaml"], folder)
    assert old.images == new.images
    description.write_text(json.dumps(content | {"inputs": inputs | {"channels": 2}}))
    with pytest.raises(ConfigError, match="is not a model that can be read"):
        mamlbench.adapt(description, folder)


def test_nothing_is_written_into_the_folder(here, trained, capsys):
    folder = draw_folder(here / "shapes", support=1, unlabeled=1)
    before = sorted(folder.rglob("*"))
    for option in ("--output", "--sort-into"):
        code, out, err = call(capsys, trained["fomaml"], folder, option, folder / "new")
        assert code == ExitCode.USAGE and out == "" and f"choose another folder with {option}" in err
    assert call(capsys, trained["fomaml"], folder, "--sort-into", here / "sorted")[0] == ExitCode.OK
    assert sorted(folder.rglob("*")) == before


def test_images_are_sorted_and_no_file_is_lost(here, trained, capsys):
    folder = draw_folder(here / "shapes", unlabeled=3)
    draw(folder / "unlabeled" / "deeper" / "bar-0.jpg", "dash", 1)
    arguments = (trained["fomaml"], folder, "--sort-into", here / "sorted", "--unsure-below", "0.5", "--steps", "10")
    for copied in ("16 images in", "0 images in"):  # the second time, all are there
        code, _, err = call(capsys, *arguments)
        assert code == ExitCode.OK and copied in err
    labels = {row["file"]: (row["label"], row["unsure"]) for row in rows(written(folder))}
    copies = sorted(path for path in (here / "sorted").rglob("*") if path.is_file())
    assert len(copies) == len(labels) == 16
    for file, (label, unsure) in labels.items():
        place = here / "sorted" / ("_unsure" if unsure else ".") / label
        assert (folder / file).read_bytes() in {path.read_bytes() for path in place.iterdir()}


def test_corrections_are_learned_from_and_never_lost(here, trained, capsys):
    folder = draw_folder(here / "shapes", support=1, unlabeled=2)
    call(capsys, trained["fomaml"], folder)
    table = written(folder)
    content = rows(table)
    content[0]["correction"], content[3]["correction"] = "ring", " dot "
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, content[0])
        writer.writeheader()
        writer.writerows(content)
    code, _, err = call(capsys, trained["fomaml"], folder)
    assert code == ExitCode.USAGE and "has 2 corrections, which would be lost: use them with --corrections" in err
    code, out, _ = call(capsys, trained["fomaml"], folder, "--corrections", table)
    assert code == ExitCode.OK and "Corrections: 2 of the images that it learned from." in out and "2 ring" in out
    again = {row["file"]: row["correction"] for row in rows(table)}
    assert len(again) == len(content) and again[content[0]["file"]] == "ring" and again[content[3]["file"]] == "dot"
    assert mamlbench.adapt(trained["fomaml"], folder, corrections=table).used_as("support")[-1].truth == "ring"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("file,label\nx,bar\n", ExitCode.USAGE, "needs the columns file and correction"),
        ("file,correction\nunlabeled/bar-0.jpg,rign\n", ExitCode.USAGE, "Did you mean 'ring'?"),
        ("file,correction\nunlabeled/gone.jpg,ring\n", ExitCode.OK, "1 correction is of no image to be labeled"),
        (None, ExitCode.USAGE, "cannot be read"),
    ],
)
def test_wrong_corrections_are_explained(  # noqa: PLR0917
    here, trained, capsys, text, code, message
):
    folder = draw_folder(here / "shapes", support=1, unlabeled=1)
    if text is not None:
        (here / "corrections.csv").write_text(text)
    got, out, err = call(capsys, trained["fomaml"], folder, "--corrections", "corrections.csv")
    assert got == code and message in out + err


def test_unsure_labels_are_marked(here, trained, capsys):
    folder = draw_folder(here / "shapes")
    code, out, _ = call(capsys, trained["fomaml"], folder, "--unsure-below", "1", "--hold-out", "1")
    assert code == ExitCode.OK and "(unsure)" in out and "Unsure, with a probability below 100%: 10." in out
    assert "Held-out images at 100% or more: 0 of 0 correct; below: " in out
    assert {row["unsure"] for row in rows(written(folder))} == {"yes"}
    call(capsys, trained["fomaml"], folder, "--unsure-below", "0")
    assert {row["unsure"] for row in rows(written(folder))} == {""}
    with pytest.raises(ConfigError, match="is a probability, 0 to 1"):
        mamlbench.adapt(trained["fomaml"], folder, unsure_below=2)

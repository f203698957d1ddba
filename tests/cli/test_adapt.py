"""``mamlbench adapt`` through the real command line, on drawings that a few steps can distinguish."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from toy_drawings import SHAPES, call, draw, draw_folder, rows, train, written

import mamlbench
from mamlbench.cli.main import main
from mamlbench.errors import ExitCode


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prepared_cache):
    """Records of three small models on glyphs, by algorithm."""
    folder = tmp_path_factory.mktemp("trained")
    return {**train(folder, prepared_cache, "fomaml", "reptile", "pretrain"), "cache": prepared_cache}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, trained):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(trained["cache"]))
    return tmp_path


def test_images_are_labeled_with_probabilities_and_shown(here, trained, capsys):
    folder = draw_folder(here / "shapes")
    code, out, err = call(capsys, trained["fomaml"], folder)
    assert code == ExitCode.OK and "Written: " in err
    assert "Learned from 2 bar, 2 cross, 2 dash, 2 dot, 2 ring: fomaml trained on glyphs, 7 adaptation steps" in out
    table = rows(written(folder))
    assert [row["file"] for row in table] == sorted(f"unlabeled/{s}-{n}.jpg" for s in SHAPES for n in range(2))
    for row in table:
        shares = {name: float(row[f"p({name})"]) for name in SHAPES}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert row["label"] == max(shares, key=shares.get) and row["truth"] == "" and row["use"] == "unlabeled"
    with Image.open(written(folder, "contact-sheet.png")) as sheet:
        assert sheet.width > 900 and len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize("algorithm", ["fomaml", "reptile"])
def test_images_of_the_support_set_are_labeled_right(here, trained, capsys, algorithm):
    folder = draw_folder(here / "shapes", unlabeled=0)
    for path in sorted(folder.rglob("*.png")):
        (folder / "test" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "test" / path.parent.name)
    code, out, _ = call(capsys, trained[algorithm], folder, "--steps", "200")
    assert code == ExitCode.OK and "10 of 10 correct, 100 %" in out
    assert "10 held-out images are copies of images that the model adapts to: 0.png, " in out


def test_held_out_images_give_the_accuracy(here, trained, capsys):
    folder = draw_folder(here / "shapes", support=4, unlabeled=0)
    code, out, _ = call(capsys, trained["pretrain"], folder, "--hold-out", "2", "--output", here / "out", "--json")
    adaptation = json.loads(out)
    assert code == ExitCode.OK and not (written(folder)).exists()
    held = [image for image in adaptation["images"] if image["use"] == "held out"]
    support = [image for image in adaptation["images"] if image["use"] == "support"]
    assert len(held) == len(support) == 10 and not {p["file"] for p in held} & {p["file"] for p in support}
    score = adaptation["held_out"]
    assert score["images"] == 10 and score["right"] == sum(p["label"] == p["truth"] for p in held)
    assert adaptation["seen"]["answer"] == "not seen"
    assert score["accuracy"]["low"] < score["accuracy"]["mean"] == score["right"] / 10 <= score["accuracy"]["high"]
    assert {row["use"] for row in rows(here / "out" / "predictions.csv")} == {"held out"}
    assert (here / "out" / "contact-sheet.png").is_file()

    for image in held:  # the same images in a folder of their own are the same test
        (folder / "test" / image["truth"]).mkdir(parents=True, exist_ok=True)
        (folder / image["file"]).rename(folder / "test" / image["file"])
    code, out, _ = call(capsys, trained["pretrain"], folder)
    assert code == ExitCode.OK and f"Held-out images: {score['right']} of 10 correct" in out
    assert "Held-out images in training: not seen." in out
    assert f"Untrained network with the same adaptation: {score['untrained_right']} of 10 correct. Chance: 20 %" in out


def test_labels_do_not_depend_on_polarity_and_file_type(here, trained, capsys):
    plain = draw_folder(here / "plain")
    changed = draw_folder(here / "changed")
    for path in changed.rglob("*.*"):
        with Image.open(path) as image:
            inverted = Image.fromarray(255 - np.asarray(image.convert("L")))
        inverted.convert("RGB").save(path, quality=95)
    results = []
    for folder in (plain, changed):
        assert call(capsys, trained["fomaml"], folder)[0] == ExitCode.OK
        results.append([float(row[f"p({name})"]) for row in rows(written(folder)) for name in SHAPES])
    assert np.abs(np.subtract(*results)).max() < 0.2


def test_inductive_labels_do_not_depend_on_each_other(here, trained, capsys):
    folder = draw_folder(here / "shapes")
    labels = {}
    for mode in ("inductive", "transductive"):
        call(capsys, trained["fomaml"], folder, "--mode", mode)
        labels[mode] = rows(written(folder))
    for path in list((folder / "unlabeled").iterdir())[1:]:
        path.unlink()
    for mode, same in (("inductive", True), ("transductive", False)):
        call(capsys, trained["fomaml"], folder, "--mode", mode)
        (alone,) = rows(written(folder))
        among = next(row for row in labels[mode] if row["file"] == alone["file"])
        close = all(float(alone[f"p({n})"]) == pytest.approx(float(among[f"p({n})"]), abs=1e-4) for n in SHAPES)
        assert close is same


def test_the_number_of_classes_may_differ_if_the_head_is_new(here, trained, capsys):
    folder = draw_folder(here / "shapes", ("bar", "dash", "dot"))
    code, out, _ = call(capsys, trained["pretrain"], folder, "--steps", "20", "-o", "finetune_lr=0.1")
    assert code == ExitCode.OK and "20 adaptation steps" in out
    assert "p(dot)" in rows(written(folder))[0] and "p(ring)" not in rows(written(folder))[0]
    code, out, _ = call(capsys, trained["fomaml"], folder, "--steps", "5")
    assert code == ExitCode.OK and "the head of each begins as the mean of the trained (tied)" in out
    assert "p(dot)" in rows(written(folder))[0] and "p(ring)" not in rows(written(folder))[0]
    assert mamlbench.adapt(trained["fomaml"], folder).head == "tied"
    assert mamlbench.adapt(trained["pretrain"], folder).head == "of the method"
    assert mamlbench.adapt(trained["fomaml"], draw_folder(here / "five")).head == "trained"


def test_classes_may_differ_in_size_and_unlabeled_may_have_its_british_spelling(here, trained, capsys):
    folder = draw_folder(here / "shapes", support=1, unlabeled=0)
    draw(folder / "bar" / "another.png", "bar", 3)
    british = "unlabelled"
    draw(folder / british / "deeper" / "x.png", "dot", 2)
    code, out, _ = call(capsys, trained["fomaml"], folder)
    assert code == ExitCode.OK and "2 bar" in out
    (row,) = rows(written(folder))
    assert row["file"] == f"{british}/deeper/x.png"


def test_from_python_nothing_is_written(here, trained):
    folder = draw_folder(here / "shapes")
    adaptation = mamlbench.adapt(trained["fomaml"], folder, hold_out=1, options={"test_steps": 1})
    assert adaptation.steps == 1 and adaptation.held_out.images == 5 and len(adaptation.used_as("unlabeled")) == 10
    assert not (written(folder)).exists()


def predicted(here, trained, folder, *arguments):
    adaptation = mamlbench.adapt(trained["fomaml"], folder, options={"test_steps": 1})
    return {(image.file, image.truth, image.use) for image in adaptation.images}


def test_trees_are_read_by_the_rule_of_the_data_set_folder(here, trained):
    """Splits under another usual name, in a folder that holds everything, with classes in folders of their own."""
    plain = draw_folder(here / "plain", unlabeled=0)
    draw(plain / "test" / "bar" / "x.png", "bar", 3)
    draw(plain / "unlabeled" / "y.png", "dot", 3)
    other = here / "other" / "photos"
    for shape in SHAPES:
        (other / "Training").mkdir(parents=True, exist_ok=True)
        shutil.copytree(plain / shape, other / "Training" / "all" / shape)
    draw(other / "meta_test" / "all" / "bar" / "x.png", "bar", 3)
    draw(other / "UNLABELED" / "deeper" / "y.png", "dot", 3)
    expected = {
        (
            file.replace("test/", "meta_test/all/").replace("unlabeled/", "UNLABELED/deeper/")
            if use != "support"
            else f"Training/all/{file}",
            truth and f"all/{truth}",
            use,
        )
        for file, truth, use in predicted(here, trained, plain)
    }
    assert predicted(here, trained, here / "other") == {(f"photos/{f}", t, u) for f, t, u in expected}


def test_what_is_left_out_is_counted_and_what_adapt_wrote_is_not(here, trained, capsys):
    folder = draw_folder(here / "shapes")
    (folder / "bar" / "notes.txt").touch()
    for _ in range(2):  # the second time, the folder holds what the first has written
        code, out, _ = call(capsys, trained["fomaml"], folder, "--steps", "1")
        assert code == ExitCode.OK and out.endswith("1 file is no image and left out: 1 .txt (bar/notes.txt).\n")


# ---------------------------------------------------------------------------------------------------------- errors


def test_damaged_images_are_left_out_and_named(here, trained, capsys):
    folder = draw_folder(here / "shapes")
    draw(folder / "test" / "bar" / "9.png", "bar", 3)
    for name in ("bar/0.png", "unlabeled/dot-1.jpg", "test/bar/8.png"):
        (folder / name).write_bytes(b"no image")
    code, out, _ = call(capsys, trained["fomaml"], folder)
    assert code == ExitCode.OK and "1 bar, 2 cross" in out
    assert "3 damaged images are left out: " in out and all(name in out for name in ("bar/0.png", "bar/8.png"))
    assert "1 correct" in out or "0 of 1 correct" in out or "1 of 1 correct" in out
    assert len(rows(written(folder))) == 9 + 1


def test_a_class_without_a_sound_image_is_refused(here, trained, capsys):
    folder = draw_folder(here / "shapes", support=1)
    (folder / "bar" / "0.png").write_bytes(b"no image")
    code, out, err = call(capsys, trained["fomaml"], folder)
    assert code == ExitCode.USAGE and out == ""
    assert "No image of bar in" in err and "bar/0.png" in err


@pytest.mark.parametrize(
    ("change", "arguments", "code", "message"),
    [
        (lambda folder: (folder / "bar" / "0.png").unlink(), [], ExitCode.USAGE, "no image in bar"),
        (lambda folder: None, ["--hold-out", "1"], ExitCode.USAGE, "would have none left"),
        (
            lambda folder: draw(folder / "test" / "bat" / "0.png", "bar", 0),
            [],
            ExitCode.USAGE,
            "folders that are no class: bat",
        ),
        (lambda folder: draw(folder / "test" / "x.png", "bar", 0), [], ExitCode.USAGE, "outside a class's folder"),
        (lambda folder: draw(folder / "x.png", "bar", 0), [], ExitCode.USAGE, "outside a class's folder"),
        (lambda folder: draw(folder / "dev" / "bar" / "x.png", "bar", 0), [], ExitCode.USAGE, "split val"),
        (lambda folder: draw(folder / "train" / "bar" / "x.png", "bar", 0), [], ExitCode.USAGE, "leave out one"),
        (
            lambda folder: draw(folder / "holdout" / "bar" / "x.png", "bar", 0),
            [],
            ExitCode.USAGE,
            "under another name: holdout",
        ),
        (
            lambda folder: draw(folder / "test" / "bar" / "0.png", "bar", 0),
            ["--hold-out", "1"],
            ExitCode.USAGE,
            "leave out --hold-out",
        ),
        (
            lambda folder: (folder / "unlabeled").rename(folder.parent / "gone"),
            [],
            ExitCode.NOTHING,
            "nothing to label",
        ),
        (lambda folder: folder.rename(folder.parent / "elsewhere"), [], ExitCode.USAGE, "There is no folder"),
        (lambda folder: None, ["-o", "inner_rl=1"], ExitCode.USAGE, "Did you mean 'inner_lr'?"),
        (
            lambda folder: None,
            ["-o", "inner_lr=1e38"],
            ExitCode.RUN_FAILED,
            "The predictions of the adapted network are not finite: try a smaller inner_lr (now 1e+38).",
        ),
        (
            lambda folder: (folder.parent / "taken").write_text(""),
            ["--output", "taken/below"],
            ExitCode.USAGE,
            "Choose another with --output",
        ),
    ],
)
def test_invalid_folders_and_options_are_explained(  # noqa: PLR0917
    here, trained, capsys, change, arguments, code, message
):
    folder = draw_folder(here / "shapes", support=1, unlabeled=1)
    change(folder)
    got, out, err = call(capsys, trained["fomaml"], folder, *arguments)
    assert got == code and message in err and out == ""


def test_a_model_of_tasks_without_images_is_refused(here, capsys):
    arguments = [
        "run",
        "--algo",
        "fomaml",
        "--dataset",
        "sinusoid",
        "--iterations",
        "1",
        "--test-episodes",
        "2",
        "--validation-episodes",
        "2",
        "-q",
    ]
    assert main(arguments) == ExitCode.OK
    (record,) = (here / "results").glob("*.json")
    code, _, err = call(capsys, record, draw_folder(here / "shapes"))
    assert code == ExitCode.USAGE and "trained on sinusoid, whose tasks are not made of images" in err

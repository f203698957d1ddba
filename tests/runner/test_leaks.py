"""Splits that share classes or images: refused, or allowed and marked in records, tables, evaluations and verdicts."""

import json

import numpy as np
import pytest
from PIL import Image

from mamlbench.api import hash64, seed_key
from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.record import read_record

SPLITS = {"train": ("a", "b", "c"), "val": ("d", "e"), "test": ("f", "g")}


@pytest.fixture
def animals(tmp_path, monkeypatch):
    """A folder of small random images, three of each class."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    for split, names in SPLITS.items():
        for name in names:
            draw(tmp_path / "animals" / split / name, name)
    return tmp_path / "animals"


def draw(folder, name):
    folder.mkdir(parents=True)
    for number in range(3):
        pixels = hash64(seed_key(name, number), np.arange(28 * 28)).astype(np.uint8).reshape(28, 28)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def call(capsys, *arguments):
    code = main([*map(str, arguments)])
    shown = capsys.readouterr()
    return code, " ".join(shown.out.split()), shown.err


def run(capsys, *arguments):
    command = ["run", "--algo", "protonet", "--dataset", "folder", "--iterations", "1", "--meta-batch-size", "2", "-q"]
    command += ["--ways", "2", "--train-ways", "2", "--queries", "2", "--train-queries", "1", "--test-episodes", "4"]
    command += ["--validation-episodes", "2", "--data-dir", "animals", "--device", "cpu", "--engine", "loop"]
    command += ["-o", "dataset.image_size=28", "-o", "dataset.color=false", "-o", "backbone.width=2"]
    return call(capsys, *command, *arguments)


def share_an_image(animals):
    (animals / "train" / "b" / "1.png").replace(animals / "test" / "g" / "copy.png")
    Image.open(animals / "test" / "g" / "copy.png").save(animals / "train" / "b" / "1.bmp")


def share_a_class(animals):
    draw(animals / "test" / "a", "others")


LEAKS = [
    (share_an_image, "train and test share 1 image (of b = g)"),
    (share_a_class, "train and test share 1 class (a)"),
]


@pytest.mark.parametrize(("share", "leak"), LEAKS, ids=["image", "class"])
def test_a_run_refuses_splits_that_share_something(animals, capsys, share, leak):
    share(animals)
    code, _, err = run(capsys)
    assert code == ExitCode.USAGE and leak in err and "use --allow-leak" in err
    assert not list((animals.parent / "results").glob("*.json"))


@pytest.mark.parametrize(("share", "leak"), LEAKS, ids=["image", "class"])
def test_an_allowed_leak_is_marked_everywhere(animals, capsys, share, leak):
    share(animals)
    code, out, _ = run(capsys, "--allow-leak")
    assert code == ExitCode.OK and f"‡ protonet: {leak}" in out
    (path,) = (animals.parent / "results").glob("*.json")
    record = read_record(path)
    assert record.test.leaks == [leak] and record.spec.training.allow_leak

    code, out, _ = call(capsys, "evaluate", path, "--queries", "1", "--data-dir", "animals")
    assert code == ExitCode.OK and f"‡ transductive: {leak}" in out
    for kind in ("md", "csv", "latex", "json"):
        code, out, _ = call(capsys, "report", "results", "--format", kind)
        assert code == ExitCode.OK and leak in out.replace(r"\_", "_")
    code, out, _ = call(capsys, "compare", "results", "results")
    assert f"‡ {leak}" in out and "same‡" in out
    code, out, _ = call(capsys, "compare", "results", "results", "--format", "json")
    verdicts = json.loads(out)["verdicts"]
    assert {verdict["doubt"] for verdict in verdicts if verdict["unit"] == "%"} == {leak}


def test_splits_that_share_nothing_have_no_mark(animals, capsys):
    code, _, _ = run(capsys)
    assert code == ExitCode.OK
    (path,) = (animals.parent / "results").glob("*.json")
    assert read_record(path).test.leaks == []
    assert "allow_leak" not in json.loads(read_record(path).spec.canonical_json())["training"]

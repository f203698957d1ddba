"""``mamlbench verify`` from end to end: what was changed after a run is found, and the exit code says so."""

import json
import re
import shutil
from contextlib import chdir

import numpy as np
import pytest
from PIL import Image

from mamlbench.errors import ExitCode
from mamlbench.record import read_record

TREE = {"train": ("cat", "dog", "owl", "cow"), "val": ("bee", "fly"), "test": ("elm", "oak", "ash")}
RUN = [
    *("run", "--algo", "fomaml", "--dataset", "folder", "--data-dir", "data", "-o", "dataset.path=pictures", "-q"),
    *("-o", "dataset.image_size=14", "--ways", "2", "--queries", "1", "--iterations", "3", "--meta-batch-size", "2"),
    *(
        "--test-episodes",
        "40",
        "--validation-episodes",
        "4",
        "-o",
        "backbone.width=4",
        "--engine",
        "vmap",
        "--backbone",
        "conv4-strided",
    ),
]


def draw(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (14, 14, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with pictures of its own, and one run on them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    images = [(split, name, index) for split, names in TREE.items() for name in names for index in range(4)]
    for number, (split, name, index) in enumerate(images):
        draw(tmp_path / "data" / "pictures" / split / name / f"{index}.png", number)
    return tmp_path


@pytest.fixture
def verify(call):
    def verify(*arguments):
        code, out, _ = call("verify", *arguments, "--data-dir", "data", "--json")
        return code, {
            check["name"]: (check["ok"], check["result"]) for one in json.loads(out) for check in one["checks"]
        }

    return verify


def test_what_was_changed_after_a_run_is_found(project, call, verify):
    code, _, err = call(*RUN)
    assert code == ExitCode.OK, err
    (path,) = (project / "results").glob("*.json")
    shutil.copytree(project / "results", project / "whole")

    code, out, _ = call("verify", str(path), "--data-dir", "data", "--seed", "5")
    assert code == ExitCode.OK
    lines = out.splitlines()
    assert lines[0] == str(path) and [line.split()[:2] for line in lines[1:7]] == [
        [name, "ok"] for name in ("record", "model", "episodes", "files", "data", "test")
    ]
    assert "20 of 40 episodes computed again: 80 scores, all equal" in lines[6]
    again = "The test episodes were drawn at random; --seed 5 draws the same ones again."
    assert lines[7:] == ["1 record: 1 ok", again]

    tensors = path.with_suffix("") / "model.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-5] ^= 4
    tensors.write_bytes(content)
    code, checks = verify("results")
    assert code == ExitCode.REGRESSION and checks["model"] == (
        False,
        "model.json: as recorded; model.safetensors: changed",
    )
    code, out, _ = call("verify", "results", "whole", "--data-dir", "data")
    assert code == ExitCode.REGRESSION and "  model       FAILED        model.json: as recorded" in out
    assert "2 records: 1 ok, 1 FAILED" in out.splitlines()

    whole = project / "whole" / path.name
    text = whole.read_text()
    scores = read_record(whole).test.modes["transductive"].episode_scores
    whole.write_text(text.replace(f'"mean": {sum(scores) / len(scores)}'[:-3], '"mean": 0.99', 1))
    assert whole.read_text() != text
    code, checks = verify("whole")
    assert code == ExitCode.REGRESSION and checks["record"][0] is False
    whole.write_text(text)

    picture = project / "data" / "pictures" / "test" / "oak" / "2.png"
    before = picture.read_bytes()
    draw(picture, 4711)
    code, checks = verify("whole")
    assert code == ExitCode.REGRESSION and checks["record"][0] is True
    assert checks["data"][0] is False and checks["data"][1].endswith("; in: test)")
    assert checks["test"] == (None, "not repeated, because of: data")
    picture.write_bytes(before)

    for cached in (project / "cache").glob("*.safetensors"):  # a flipped bit of prepared images is found and repaired
        content = bytearray(cached.read_bytes())
        content[len(content) // 2] ^= 1
        cached.write_bytes(content)
    assert verify("whole")[0] == ExitCode.OK

    (project / "data").rename(project / "elsewhere")
    (project / "data").mkdir()
    code, checks = verify("whole")
    assert code == ExitCode.NOTHING and checks["record"][0] is checks["model"][0] is True
    assert checks["data"][0] is None and checks["test"] == (None, "not repeated: the data were not found")
    assert re.fullmatch(r"folder was not found in '.*data': name its folder with --data-dir", checks["data"][1])


@pytest.mark.parametrize(
    ("argument", "code", "message"),
    [
        ("missing.json", ExitCode.USAGE, "'missing.json' does not exist. Name a record, or a folder that contains"),
        ("empty", ExitCode.NOTHING, "There is no record in 'empty'."),
        ("text.txt", ExitCode.REGRESSION, "'text.txt' is not a run record"),
    ],
)
def test_what_is_no_record_is_named(tmp_path, call, argument, code, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no record")
    with chdir(tmp_path):
        ended, out, err = call("verify", argument)
    assert ended == code and message in out + err


def test_an_interrupt_shows_what_is_known_already(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("no record")
    made = []

    def interrupt():
        made.append(1)
        if len(made) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("mamlbench.interrupts.check_interrupt", interrupt)
    code, out, err = call("verify", ".")
    assert code == ExitCode.INTERRUPTED, err
    assert "Interrupted." in err
    assert "'a.json' is not a run record" in out and "1 record: 1 FAILED; 1 not looked at" in out

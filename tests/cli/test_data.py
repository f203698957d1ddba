"""``mamlbench data`` through the real command line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.progress.console import console
from mamlbench.progress.preparation import Preparation
from mamlbench_plugins.datasets.miniimagenet_split import CLASSES

EACH = 3


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, toy_plugin):
    """A folder with a small miniImageNet below data/, and a mamlbench.toml that names data/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MAMLBENCH_DATA", raising=False)
    (tmp_path / "mamlbench.toml").write_text(f'data_dir = "data"\nplugins = ["{toy_plugin}"]\n')
    for split, names in CLASSES.items():
        for number, name in enumerate(names[:3]):
            for image in range(EACH):
                write_image(
                    tmp_path / "data" / "miniimagenet" / split / name / f"{name}_{image}.png", (split, number, image)
                )
    return tmp_path


def write_image(path, seed, side=84):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([ord(seed[0][1]), *seed[1:]]).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def call(capsys, *arguments):
    code = main(["data", *arguments])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def call_json(capsys, *arguments):
    code, out, _ = call(capsys, *arguments, "--json")
    return code, json.loads(out)


def verify(capsys, *arguments):
    code, verification = call_json(capsys, "verify", "miniimagenet", *arguments)
    return code, verification, {check["name"]: check for check in verification["checks"]}


def folders(project):
    return project / "data" / "miniimagenet"


# --------------------------------------------------------------------------------------------------- list, where


@pytest.mark.usefixtures("settled")
def test_list_shows_the_local_copy_its_amount_and_license(project, capsys):
    code, listed = call_json(capsys, "list")
    statuses = {status["name"]: status for status in listed}
    assert code == ExitCode.OK and not (project / "cache").exists(), "nothing is prepared"
    mini = statuses["miniimagenet"]["local_copy"]
    assert mini["form"] == "class folders" and mini["location"] == str(folders(project))
    assert mini["amount"] == "27 images of 9 classes" and not mini["prepared"]
    assert "train 9 of 38,400, val 9 of 9,600, test 9 of 12,000" in mini["subset"]
    assert statuses["omniglot"]["local_copy"] is None
    assert statuses["sinusoid"]["local_copy"]["subset"] is None
    assert statuses["toy"]["local_copy"]["form"] == "not looked for"
    assert "ImageNet's terms" in statuses["miniimagenet"]["info"]["license"]

    code, out, _ = call(capsys, "list")
    assert code == ExitCode.OK and "subset" in out and "38,400" in out and "yes" in out

    call(capsys, "prepare", "miniimagenet")
    _, listed = call_json(capsys, "list")
    again = {status["name"]: status for status in listed}["miniimagenet"]["local_copy"]
    assert again == {**mini, "prepared": True}


def test_a_damaged_archive_is_a_row_and_does_not_hide_others(project, capsys):
    shutil.rmtree(folders(project))
    folders(project).mkdir()
    (folders(project) / "train.tar").write_bytes(b"no archive")
    code, listed = call_json(capsys, "list")
    statuses = {status["name"]: status for status in listed}
    broken = statuses["miniimagenet"]
    assert code == ExitCode.OK and broken["state"] == "broken" and "train.tar' cannot be read" in broken["detail"]
    assert statuses["glyphs"]["state"] == "not prepared"


def test_where_names_folders_in_order_and_the_cache(project, capsys, monkeypatch):
    monkeypatch.setenv("MAMLBENCH_DATA", "/elsewhere")
    # the hashes of files that have not changed for a while are kept in the cache, too: here none has
    monkeypatch.setattr("mamlbench.data.raw_files.SETTLED_NANOSECONDS", 10**18)
    call(capsys, "prepare", "miniimagenet")
    (project / "here").mkdir()
    code, shown = call_json(capsys, "where", "--data-dir", "here")
    assert code == ExitCode.OK
    assert [(folder["path"], folder["exists"]) for folder in shown["searched"]] == [
        ("here", True),
        ("/elsewhere", False),
        (str(project / "data"), True),
    ]
    assert shown["cache"] == str(project / "cache")
    (cached,) = shown["files"]
    assert "miniimagenet-" in cached["path"] and cached["bytes"] > 27 * 84 * 84 * 3
    code, out, _ = call(capsys, "where")
    assert code == ExitCode.OK and "data_dir in mamlbench.toml" in out and "1 files, 0.6 MB" in out


def test_where_without_folders_explains_how_to_name_one(project, capsys):
    (project / "mamlbench.toml").write_text("")
    code, out, _ = call(capsys, "where")
    assert code == ExitCode.OK and "name one with --data-dir" in out


# ---------------------------------------------------------------------------------------------------------- info


def info(capsys, *arguments):
    code = main(["info", *arguments])
    shown = capsys.readouterr()
    assert code == ExitCode.OK and shown.err == ""
    return shown.out


def info_json(capsys, *arguments):
    (entry,) = json.loads(info(capsys, *arguments, "--json"))
    return entry, entry["dataset_status"]


@pytest.mark.usefixtures("settled")
def test_info_shows_the_local_copy_without_decoding_it(project, capsys):
    entry, status = info_json(capsys, "miniimagenet")
    assert status["state"] == "not prepared" and "mamlbench data prepare miniimagenet" in status["detail"]
    assert status["local_copy"]["amount"] == "27 images of 9 classes" and status["splits"] == {}
    assert not (project / "cache").exists()

    _, prepared = call_json(capsys, "prepare", "miniimagenet")
    entry, status = info_json(capsys, "miniimagenet")
    assert status["state"] == "ready" and status["content_hash"] == prepared["content_hash"]
    assert status["input_shape"] == [3, 84, 84] and "train 9 of 38,400" in status["local_copy"]["subset"]
    assert {name: split["images"] for name, split in status["splits"].items()} == {"train": 9, "val": 9, "test": 9}
    assert all(tuple(status["splits"][split]["classes"]) == CLASSES[split][:3] for split in CLASSES)
    assert "ImageNet's terms" in entry["license"] and "Vinyals" in entry["citation"]

    out = info(capsys, "miniimagenet")
    for text in (
        "ready",
        "class folders",
        "no, a subset",
        "84 x 84, color",
        prepared["content_hash"],
        "ImageNet's terms",
        "Vinyals",
        CLASSES["test"][2],
    ):
        assert text in out


@pytest.mark.usefixtures("settled")
def test_info_elides_class_names_unless_all_are_requested(project, capsys):
    for name in CLASSES["train"][3:8]:
        write_image(folders(project) / "train" / name / "1.png", ("train", 9, 9))
    call(capsys, "prepare", "miniimagenet")
    last = CLASSES["train"][7]
    out = info(capsys, "miniimagenet")
    assert "and 3 more" in out and last not in out
    assert last in info(capsys, "miniimagenet", "--classes")
    assert last in info_json(capsys, "miniimagenet")[1]["splits"]["train"]["classes"]


def test_info_of_a_missing_or_broken_data_set_explains_how_to_get_it(project, capsys):
    shutil.rmtree(folders(project))
    _, status = info_json(capsys, "miniimagenet")
    assert status["state"] == "not found" and "Name the folder" in status["detail"]
    assert status["searched"] == [f"'{project / 'data'}' (data_dir in mamlbench.toml)"]
    assert "downloads it (14 MB)" in info_json(capsys, "omniglot")[1]["detail"]
    out = info(capsys, "miniimagenet")
    assert "not found" in out and "searched" in out

    folders(project).mkdir()
    (folders(project) / "train.tar").write_bytes(b"no archive")
    _, status = info_json(capsys, "miniimagenet")
    assert status["state"] == "broken" and "train.tar' cannot be read" in status["detail"]


def test_info_takes_options_that_name_a_folder(project, capsys):
    shutil.copytree(folders(project), project / "data" / "flowers")
    assert info_json(capsys, "folder")[1]["state"] == "not found"
    _, status = info_json(capsys, "folder", "-o", "path=flowers")
    assert status["local_copy"]["location"] == str(project / "data" / "flowers")
    assert main(["info", "maml", "-o", "path=flowers"]) == ExitCode.USAGE
    assert "-o is for data sets, and 'maml' is not one" in capsys.readouterr().err


def test_info_of_computed_data_and_of_data_that_is_not_looked_for(capsys):
    _, status = info_json(capsys, "sinusoid")
    assert status["state"] == "ready" and len(status["content_hash"]) == 64 and status["input_shape"] == [1]
    _, status = info_json(capsys, "toy")
    assert status["state"] == "not looked for" and status["content_hash"] == ""


# ------------------------------------------------------------------------------------------------------- prepare


def test_prepare_shows_its_progress_and_the_result(project, capsys):
    code, out, err = call(capsys, "prepare", "miniimagenet", "-o", "dataset.normalize=channels")
    assert code == ExitCode.OK and "Preparing miniImageNet: 27 of 27" in err
    assert (
        "no, a subset: images: train 9 of 38,400, val 9 of 9,600, test 9 of 12,000" in out
        and "9 images of 3 classes" in out
    )
    code, out, err = call(capsys, "prepare", "miniimagenet", "--json")
    assert code == ExitCode.OK and err == "", "it is prepared already"
    assert {name: split["images"] for name, split in json.loads(out)["splits"].items()} == {
        "train": 9,
        "val": 9,
        "test": 9,
    }


def test_a_run_shows_the_progress_of_the_preparation_too(capsys):
    arguments = [
        "run",
        "--algo",
        "pretrain",
        "--dataset",
        "miniimagenet",
        "--ways",
        "2",
        "--iterations",
        "0",
        "--test-episodes",
        "2",
        "--validation-episodes",
        "2",
        "-o",
        "backbone.width=2",
    ]
    assert main(arguments) == ExitCode.OK
    assert "Preparing miniImageNet: 27 of 27" in capsys.readouterr().err
    assert main(arguments) == ExitCode.OK
    assert "Preparing" not in capsys.readouterr().err


def test_progress_on_a_terminal_is_a_bar(monkeypatch, capsys):
    out = console(stderr=True)
    monkeypatch.setattr(type(out), "is_terminal", True)
    shown = Preparation(out)
    for done in (1, 20, 40):
        shown("images", done, 40)
    shown.close()
    assert "40/40" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prepare", "verify"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["miniimagnet"], "Unknown dataset 'miniimagnet'. Did you mean 'miniimagenet'?"),
        (["miniimagenet", "-o", "normalizes=channels"], "no option 'normalizes'. Did you mean 'normalize'?"),
        (["miniimagenet", "-o", "jitter"], "-o takes NAME=VALUE"),
    ],
)
def test_invalid_arguments_are_explained(capsys, command, arguments, message):
    code, out, err = call(capsys, command, *arguments)
    assert code == ExitCode.USAGE and message in err and out == ""


def test_a_run_says_what_it_guessed_and_leaves_small_classes_out_on_request(project, capsys):
    folder = project / "mine"
    for number in range(7):
        for image in range(3 - number % 2):
            (folder / f"c{number}").mkdir(parents=True, exist_ok=True)
            Image.new("L", (9, 9), 30 * number + image).save(folder / f"c{number}" / f"{image}.png")
    (folder / "c0" / "notes.txt").touch()
    arguments = ["run", "--algo", "pretrain", "--dataset", "folder", "--iterations", "0", "--queries", "2", "-q"]
    arguments += ["--ways", "2", "--test-episodes", "2", "--validation-episodes", "2", "--data-dir", str(folder)]
    arguments += ["-o", "dataset.test=0.4", "-o", "dataset.val=0.3", "-o", "dataset.image_size=28", "--device", "cpu"]
    code = main(arguments)
    assert code == ExitCode.USAGE
    assert "classes have fewer: c1 (2)" in capsys.readouterr().err
    for number in (1, 3, 5):
        Image.new("L", (9, 9), 30 * number + 2).save(folder / f"c{number}" / "2.png")
    (folder / "x").mkdir()
    Image.new("L", (9, 9), 255).save(folder / "x" / "0.png")
    assert main([*arguments, "--min-images", "3"]) == ExitCode.OK
    shown = capsys.readouterr()
    text = " ".join(shown.out.split())
    assert "The data set was incomplete: 1 class with fewer than 3 images left out: x (" in text
    assert "Data: 1 file is no image and left out: 1 .txt (c0/notes.txt)." in text
    assert "classes are split by a hash of their names." in text


# -------------------------------------------------------------------------------------------------------- verify


def test_a_sound_set_passes_and_is_prepared(project, capsys):
    code, verification, checks = verify(capsys)
    assert code == ExitCode.OK and not verification["broken"] and verification["origin"] == "class folders"
    assert (
        checks["class-disjoint splits"]["ok"] and "train 3, val 3, test 3" in checks["class-disjoint splits"]["result"]
    )
    assert checks["published split"]["ok"] is None and "91 classes" in checks["published split"]["result"]
    assert checks["images in two splits"]["result"] == "0" and checks["copies within a split"]["result"] == "0"
    (cached,) = (project / "cache").glob("*.safetensors")
    assert cached.suffix == ".safetensors" and checks["cache"]["ok"] is None
    code, _, checks = verify(capsys)
    assert code == ExitCode.OK and checks["cache"]["ok"]
    code, out, _ = call(capsys, "verify", "miniimagenet")
    assert code == ExitCode.OK and "BROKEN" not in out and "class-disjoint" in out


def test_every_damaged_image_is_named(project, capsys):
    damaged = sorted(folders(project).rglob("*.png"))[:15]
    call(capsys, "prepare", "miniimagenet")
    for path in damaged:
        path.write_bytes(path.read_bytes()[:100])
    code, verification, _ = verify(capsys)
    assert code == ExitCode.REGRESSION and verification["broken"] and len(verification["damaged"]) == 15
    assert all(any(str(path) in name for name in verification["damaged"]) for path in damaged)
    code, out, _ = call(capsys, "verify", "miniimagenet")
    assert code == ExitCode.REGRESSION and out.count("Damaged: ") == 15


def test_images_in_two_splits_are_counted_and_named(project, capsys):
    train, test = CLASSES["train"][0], CLASSES["test"][0]
    copied = folders(project) / "train" / train / f"{train}_0.png"
    for number in range(2):
        shutil.copy(copied, folders(project) / "test" / test / f"copy_{number}.png")
    code, _, checks = verify(capsys)
    assert code == ExitCode.OK, "real copies of miniImageNet have a few"
    refused = "refused by run without --allow-leak"
    assert checks["images in two splits"]["result"] == f"1 ({refused}): {train} (train) = {test} (test)"
    shutil.copy(copied, copied.with_name("copy.png"))
    (folders(project) / "test" / test / "copy_0.png").unlink()
    (folders(project) / "test" / test / "copy_1.png").unlink()
    _, _, checks = verify(capsys)
    assert checks["images in two splits"]["result"] == "0" and checks["copies within a split"]["result"] == "1"


def test_a_class_in_the_wrong_split_is_broken(project, capsys):
    moved = CLASSES["train"][0]
    shutil.move(folders(project) / "train" / moved, folders(project) / "test" / moved)
    code, _, checks = verify(capsys)
    assert code == ExitCode.REGRESSION and checks["published split"]["ok"] is False
    assert f"{moved} (test)" in checks["published split"]["result"]


def test_a_class_in_two_splits_is_broken(project, capsys):
    name = CLASSES["train"][0]
    shutil.copytree(folders(project) / "train" / name, folders(project) / "val" / name)
    code, _, checks = verify(capsys)
    assert (
        code == ExitCode.REGRESSION and checks["class-disjoint splits"]["result"] == f"in more than one split: {name}"
    )


def test_a_damaged_cache_file_is_replaced(project, capsys):
    verify(capsys)
    (cached,) = (project / "cache").glob("*.safetensors")
    sound = cached.read_bytes()
    cached.write_bytes(sound[:-5000] + bytes(1000) + sound[-4000:])
    code, _, checks = verify(capsys)
    assert code == ExitCode.REGRESSION and "is replaced" in checks["cache"]["result"]
    assert cached.read_bytes() == sound


def test_missing_data_cannot_be_verified(project, capsys, monkeypatch):
    shutil.rmtree(folders(project))
    code, out, err = call(capsys, "verify", "miniimagenet")
    assert code == ExitCode.USAGE and "was not found" in err and out == ""
    (project / "taken").write_text("a file")
    monkeypatch.setenv("MAMLBENCH_CACHE", str(project / "taken"))
    code, _, err = call(capsys, "verify", "miniimagenet")
    assert code == ExitCode.USAGE and "set MAMLBENCH_CACHE" in err


def test_computed_tasks_have_nothing_to_damage(capsys):
    code, out, _ = call(capsys, "verify", "sinusoid")
    assert code == ExitCode.OK and "tasks are computed" in out

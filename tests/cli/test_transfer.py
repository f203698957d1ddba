"""``mamlbench transfer`` through the real command line: one table, stored tests, cells that cannot be computed."""

import csv
import io
import json
import shutil

import pytest
from PIL import Image

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.interrupts import check_interrupt
from mamlbench.record import Evaluation
from mamlbench.runner import transfer as transfer_runner

TINY = ["--ways", "2", "--queries", "2", "--test-episodes", "4", "--validation-episodes", "2", "-q", "--device", "cpu"]
TINY += ["--iterations", "1", "--meta-batch-size", "2", "--engine", "loop", "-o", "backbone.width=2"]
RUN = ["run", "--algo", "protonet", "--train-ways", "2", *TINY]
BROKEN = """
import mamlbench
from mamlbench.api import Dataset, DatasetInfo

class Broken(Dataset):
    info = DatasetInfo("broken", "none", "none")

    def load(self):
        raise ZeroDivisionError("the plugin's own mistake")

@mamlbench.hookimpl
def mamlbench_register_datasets(register):
    register("broken", Broken)
"""


def write_photos(folder):
    for split, names in {"train": "abc", "val": "de", "test": "fg"}.items():
        for name in names:
            (folder / split / name).mkdir(parents=True)
            for number in range(4):
                color = (37 * ord(name) % 256, 60 * number, 90)
                Image.new("RGB", (40, 30), color).save(folder / split / name / f"{number}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, toy_plugin):
    """A model trained on toy patterns (gray, 14 x 14) and one trained on photographs (color, 16 x 16)."""
    folder = tmp_path_factory.mktemp("trained")
    write_photos(folder / "photos")
    (folder / "toy.py").write_text(toy_plugin.read_text())
    (folder / "broken.py").write_text(BROKEN)
    sizes = ["-o", "dataset.image_size=16", "--data-dir", "photos", "--train-queries", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MAMLBENCH_CACHE", str(folder / "cache"))
        assert (
            main([*RUN, "--dataset", "toy", "--plugin", "toy.py"]) == main([*RUN, "--dataset", "folder", *sizes]) == 0
        )
    return folder


@pytest.fixture
def models(project, trained, monkeypatch):
    """A project with both models."""
    shutil.copytree(trained, project.path, dirs_exist_ok=True)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(project.path / "cache"))
    return project


def transfer(project, *arguments, **expected):
    options = ["--plugin", "toy.py", "--data-dir", "photos", "--device", "cpu"]
    return project.run("transfer", *options, *arguments, **expected)


def rows(done):
    (table,) = json.loads(done.out)
    return table, {row["trained_on"]: row for row in table["rows"]}


def stored(project):
    return sorted(project.path.glob("results/*/evaluation-*.json"))


def test_every_model_is_tested_on_every_data_set_with_every_number_of_shots(models):
    done = transfer(models, "--shots", "1", "--shots", "2", "--format", "json")
    table, by_data = rows(done)
    assert "8 of 8 cells computed, 0 read" in done.err
    assert table["conditions"] == {
        "metric": "accuracy",
        "mode": "transductive",
        "ways": 2,
        "queries": 2,
        "test_episodes": 4,
        "episode_seed": 0,
    }
    for trained in ("toy", "folder"):
        for place in ("toy_1shot", "toy_2shot", "folder_1shot", "folder_2shot"):
            row = by_data[trained]
            assert 0 <= row[place] <= 1 and row[f"{place}_gain"] == pytest.approx(
                row[place] - row[f"{place}_untrained"]
            )
            assert (models.path / "results" / row["trained_on_record"] / row[f"{place}_file"]).is_file()
    assert by_data["toy"]["toy_1shot_seen"] == "not seen" and by_data["folder"]["folder_2shot_seen"] == "not seen"
    assert by_data["folder"]["toy_1shot_resized_from"] == "1x14x14" and by_data["folder"]["toy_1shot_seen"] == "unknown"
    assert by_data["toy"]["folder_1shot_resized_from"] is None, "a folder of images has options for their size"
    assert any("toy from [1, 14, 14]" in note for note in table["notes"])


def test_a_cell_has_the_scores_of_evaluate(models):
    _, by_data = rows(transfer(models, "--format", "json", "--shots", "2", "--dataset", "toy"))
    for trained, row in by_data.items():
        path = f"results/{row['trained_on_record']}.json"
        options = ["--shots", "2", "--dataset", "toy", "--resize", "--json", "--plugin", "toy.py", "--device", "cpu"]
        alone = Evaluation.model_validate_json(models.run("evaluate", path, *options).out)
        content = json.loads((models.path / path.removesuffix(".json") / row["toy_2shot_file"]).read_text())
        assert Evaluation.model_validate(content["evaluation"]) == alone, trained


def test_shots_that_share_a_network_score_as_if_each_were_tested_alone(models):
    _, together = rows(transfer(models, "--format", "json", "--shots", "1", "--shots", "2"))
    for path in stored(models):
        path.unlink()
    _, alone = rows(transfer(models, "--format", "json", "--shots", "2"))
    assert alone["toy"]["toy_2shot_low"] == together["toy"]["toy_2shot_low"]
    assert alone["folder"]["toy_2shot"] == together["folder"]["toy_2shot"]


def test_a_matrix_is_not_computed_twice_and_the_table_is_the_same(models):
    first = transfer(models)
    again = transfer(models)
    assert first.out == again.out and "0 of 4 cells computed, 4 read from earlier tests" in again.err
    longer = transfer(models, "--test-episodes", "6")
    assert "4 of 4 cells computed" in longer.err and len(stored(models)) == 8
    assert "Skipped" not in longer.err and "Skipped" not in models.run("report").err, "a stored test is no record"
    verified = models.run("verify", "results", "--plugin", "toy.py", "--data-dir", "photos")
    assert verified.code == ExitCode.OK


def test_a_damaged_test_is_computed_again(models):
    _, before = rows(transfer(models, "--format", "json", "--dataset", "toy"))
    path = stored(models)[0]
    path.write_text(path.read_text().replace('"leaks": []', '"leaks": ["none"]'))
    done = transfer(models, "--format", "json", "--dataset", "toy")
    assert f"{path.name}' is not a test that can be read, and is computed again: its SHA-256 differs" in done.err
    assert rows(done)[1] == before and "1 of 2 cells computed, 1 read" in done.err


def test_other_data_of_the_same_name_are_another_cell(models):
    transfer(models, "--dataset", "folder")
    Image.new("RGB", (40, 30), (1, 2, 3)).save(models.path / "photos" / "test" / "f" / "0.png")
    assert "2 of 2 cells computed" in transfer(models, "--dataset", "folder").err


def test_an_interrupted_matrix_goes_on(models, monkeypatch):
    computed = []

    def interrupts_at_the_third(*arguments):
        computed.append(arguments)
        if len(computed) == 3:
            raise KeyboardInterrupt
        check_interrupt()
        return score(*arguments)

    score = transfer_runner.score_model
    monkeypatch.setattr(transfer_runner, "score_model", interrupts_at_the_third)
    done = transfer(models, expect=ExitCode.INTERRUPTED)
    assert "2 of 4 cells are done; the same command again goes on." in done.err and not done.out
    assert len(stored(models)) == 2
    monkeypatch.setattr(transfer_runner, "score_model", score)
    assert "2 of 4 cells computed, 2 read from earlier tests" in transfer(models).err


@pytest.mark.slow
def test_a_data_set_that_cannot_be_fed_says_why_and_the_others_go_on(models):
    names = ["sinusoid", "omniglot", "broken", "toy"]
    options = [part for name in names for part in ("--dataset", name)]
    done = transfer(models, "--plugin", "broken.py", *options, "--format", "json")
    row = rows(done)[1]["toy"]
    reasons = {name: row[f"{name}_1shot_reason"] for name in names[:3]}
    assert "trained for classification, and the tasks of 'sinusoid' are regression" in reasons["sinusoid"]
    assert "Omniglot" in reasons["omniglot"] and "ZeroDivisionError: the plugin's own mistake" in reasons["broken"]
    assert all(row[f"{name}_1shot"] is None and "\n" not in reasons[name] for name in names[:3])
    assert row["toy_1shot"] > 0 and "2 of 8 cells computed, 0 read from earlier tests, 6 without a score" in done.err
    shown = transfer(models, "--dataset", "sinusoid", "--dataset", "toy").out
    assert "regression" in " ".join(shown.split())


def test_a_protocol_that_a_data_set_is_too_small_for_is_a_reason_in_its_cells(models):
    _, by_data = rows(transfer(models, "--shots", "1", "--shots", "6", "--format", "json"))
    assert by_data["toy"]["toy_6shot"] is not None and by_data["toy"]["folder_1shot"] is not None
    assert "8 examples per class were requested" in by_data["toy"]["folder_6shot_reason"]


def test_no_score_at_all_is_an_exit_code(models):
    done = transfer(models, "--dataset", "sinusoid", expect=ExitCode.NOTHING)
    assert "Transfer: no cell has a score" in done.out


def test_without_a_trained_model_there_is_nothing_to_do(project):
    assert "no finished run" in project.run("transfer", expect=ExitCode.NOTHING).err
    (project.path / "results").mkdir()
    assert "no finished run" in project.run("transfer", "results", expect=ExitCode.NOTHING).err
    assert "does not exist" in project.run("transfer", "nowhere.json", expect=ExitCode.USAGE).err


def test_runs_that_left_no_model_are_named_and_skipped(models):
    (path, *_) = sorted((models.path / "results").glob("*.json"))
    content = json.loads(path.read_text())
    del content["sha256"]
    path.write_text(json.dumps({**content, "status": "interrupted"}))
    done = transfer(models, "--dataset", "toy")
    assert f"Skipped: {content['name']}: its run is interrupted." in done.err and "1 of 1 cells" in done.err


def test_a_model_whose_files_are_lost_is_a_reason_in_its_cells(models):
    (path, *_) = sorted(models.path.glob("results/folder*/model.safetensors"))
    path.unlink()
    _, by_data = rows(transfer(models, "--format", "json"))
    assert "is not a model that can be read" in by_data["folder"]["toy_1shot_reason"]
    assert by_data["toy"]["folder_1shot"] is not None


def test_options_go_to_the_data_sets_that_have_them(models):
    done = transfer(models, "-o", "dataset.flip=true", "--format", "json")
    assert rows(done)[1]["toy"]["toy_1shot"] is not None
    done = transfer(models, "-o", "dataset.nothing=1", expect=ExitCode.USAGE)
    assert "None of the data sets has the option 'dataset.nothing'." in done.err


def test_a_folder_of_a_run_and_a_single_record_are_taken(models):
    folder = next(models.path.glob("results/toy-*/"))
    done = transfer(models, str(folder), "--dataset", "toy", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert row["trained_on"] == "toy" and row["toy_1shot_seen"] == "not seen"
    assert transfer(models, f"{folder}.json", "--dataset", "toy", "--format", "csv").out == done.out


@pytest.mark.parametrize("format_", ["md", "latex", "svg", "html"])
def test_the_table_has_every_format_of_report(models, format_):
    done = transfer(models, "--format", format_, "--output", f"table.{format_}")
    text = (models.path / f"table.{format_}").read_text()
    assert not done.out and "toy, 1" in text.replace("&#160;", " ") and "Transfer" in text.replace("&#160;", " ")


def test_models_that_differ_in_the_seed_have_rows_of_their_own(models):
    models.run(*RUN, "--dataset", "toy", "--plugin", "toy.py", "--seed", "3")
    table, _ = rows(transfer(models, "--dataset", "toy", "--format", "json"))
    assert [(row["trained_on"], row["differs_in"]) for row in table["rows"]] == [
        ("folder", ""),
        ("toy", "seed 0"),
        ("toy", "seed 3"),
    ]

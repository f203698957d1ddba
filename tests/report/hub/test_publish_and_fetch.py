"""Records and models to the Hub and back, by way of a folder and of a Hub that keeps them in one."""

import json
import shutil
from types import SimpleNamespace

import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.record import ResultStore, read_record
from mamlbench.record.file_hashes import file_hash, hashes_of_files
from mamlbench.report.hub import repository


@pytest.fixture
def results(make_record, tmp_path):
    """A folder with a finished run, with model, scores, an image and a checkpoint, and one that was interrupted."""
    store = ResultStore(tmp_path / "results")
    run = store.artifacts("maml-0")
    run.mkdir(parents=True)
    for name in ("model.json", "model.safetensors", "episodes.npz", "sheet.png", "checkpoint-1.json"):
        (run / name).write_bytes(name.encode())
    record = make_record(episodes=[0.8, 1.0], name="maml-0")
    store.write("maml-0", record.model_copy(update={"files": hashes_of_files(run), "model": "maml-0/model.json"}))
    store.write("maml-1", make_record(status="interrupted", seed=1, name="maml-1"))
    return store.folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub that keeps its repositories below a folder."""
    stored = tmp_path / "hub"

    class Api:
        def __init__(self, library_name):
            pass

        def create_repo(self, repo_id, private, exist_ok):
            (stored / repo_id).mkdir(parents=True, exist_ok=True)

        def upload_folder(self, repo_id, folder_path, commit_message):
            shutil.copytree(folder_path, stored / repo_id, dirs_exist_ok=True)
            return SimpleNamespace(commit_url=f"https://hub.example/{repo_id}")

    def snapshot_download(repo_id, revision, local_dir, allow_patterns):
        from huggingface_hub.utils import filter_repo_objects

        paths = [str(path.relative_to(stored / repo_id)) for path in (stored / repo_id).rglob("*") if path.is_file()]
        for name in filter_repo_objects(paths, allow_patterns=allow_patterns):
            (local_dir / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(stored / repo_id / name, local_dir / name)

    monkeypatch.setattr(repository, "_hub", lambda: SimpleNamespace(HfApi=Api, snapshot_download=snapshot_download))
    return stored


PUBLISHED = {
    "README.md",
    "maml-0.json",
    *(f"maml-0/{name}" for name in ["model.json", "model.safetensors", "episodes.npz"]),
}


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["me/models", "./published"])
def test_what_is_published_is_fetched_again(results, hub, monkeypatch, capsys, place):
    tmp_path = results.parent
    monkeypatch.chdir(tmp_path)
    assert main(["publish", str(results), "--to", place]) == ExitCode.OK
    assert files(hub / place if place == "me/models" else tmp_path / place) == PUBLISHED
    assert "Published: 1 record, 5 files" in capsys.readouterr().err
    for state in ("copied", "there already"):
        assert main(["fetch", place, "--into", "others"]) == ExitCode.OK
        assert capsys.readouterr().out == f"others/maml-0.json: {state}\n"
    assert files(tmp_path / "others") == PUBLISHED - {"README.md"}
    assert read_record(tmp_path / "others" / "maml-0.json") == read_record(results / "maml-0.json")


def test_the_page_has_the_table_settings_and_hashes(results, tmp_path):
    assert main(["publish", str(results), "--to", str(tmp_path / "out")]) == ExitCode.OK
    page = (tmp_path / "out" / "README.md").read_text()
    _, metadata, text = page.split("---\n", 2)
    (model,) = json.loads(metadata)["model-index"]
    assert model["name"] == "maml-0" and model["results"][0]["metrics"][0]["value"] == pytest.approx(0.9)
    for part in ("| maml |", '"inner_lr": 0.4', "license MIT", file_hash(results / "maml-0" / "model.safetensors")):
        assert part in text


def test_a_dry_run_names_the_files_and_publishes_nothing(results, hub, capsys):
    assert main(["publish", str(results), "--to", "me/models", "--dry-run"]) == ExitCode.OK
    assert set(capsys.readouterr().out.split()) == PUBLISHED and not hub.exists()


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("maml-0/model.safetensors", b"other", "'model.safetensors', a file of"),
        ("maml-0.json", None, "its SHA-256 differs"),
    ],
)
def test_what_was_changed_is_neither_published_nor_fetched(results, capsys, name, content, text):
    tmp_path = results.parent
    out = tmp_path / "out"
    assert main(["publish", str(results), "--to", str(out)]) == ExitCode.OK
    for folder in (results, out):
        changed = content or (folder / name).read_bytes().replace(b'"inner_lr": 0.4', b'"inner_lr": 0.5')
        (folder / name).write_bytes(changed)
    capsys.readouterr()
    assert main(["publish", str(results), "--to", str(tmp_path / "again")]) == ExitCode.USAGE
    assert text in capsys.readouterr().err and not (tmp_path / "again").exists()
    assert main(["fetch", str(out), "--into", str(tmp_path / "others")]) == ExitCode.USAGE
    assert text in capsys.readouterr().err and not (tmp_path / "others").exists()


def test_files_that_no_record_names_are_not_taken(results, hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["publish", str(results), "--to", "me/models"])
    for name in ("maml-0/evil.pkl", "maml-0/other.json", "conftest.py"):
        (hub / "me/models" / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert main(["fetch", "me/models", "--into", "others"]) == ExitCode.OK
    assert files(tmp_path / "others") == PUBLISHED - {"README.md"}


def test_a_record_under_another_name_is_refused(results, tmp_path, capsys):
    assert main(["publish", str(results), "--to", str(tmp_path / "out")]) == ExitCode.OK
    (tmp_path / "out" / "maml-0.json").rename(tmp_path / "out" / "other.json")
    assert main(["fetch", str(tmp_path / "out"), "--into", str(tmp_path / "others")]) == ExitCode.USAGE
    assert "is the record of 'maml-0'" in capsys.readouterr().err


def test_a_record_without_a_hash_of_its_own_is_refused(results, tmp_path, capsys):
    content = json.loads((results / "maml-0.json").read_text())
    del content["sha256"]
    (results / "maml-0.json").write_text(json.dumps(content))
    assert main(["publish", str(results), "--to", str(tmp_path / "out")]) == ExitCode.USAGE
    assert "has no SHA-256 of its own" in capsys.readouterr().err


def test_problems_are_one_sentence(results, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["publish", "missing", "--to", "me/models"]) == ExitCode.USAGE
    assert main(["fetch", "./missing"]) == ExitCode.USAGE
    assert main(["publish", str(results / "maml-1.json"), "--to", "out"]) == ExitCode.NOTHING
    (tmp_path / "empty").mkdir()
    assert main(["fetch", "./empty"]) == ExitCode.NOTHING
    assert [line.split(" ")[0] for line in capsys.readouterr().err.splitlines()] == ["Error:"] * 4


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("LocalTokenNotFoundError", "hf auth login"),
        ("HFValidationError", "is no name of a repository"),
        ("OSError", "cannot be reached"),
    ],
)
def test_errors_of_the_hub_are_explained(results, capsys, monkeypatch, error, text):
    from huggingface_hub import errors

    class Api:
        def __init__(self, library_name):
            raise getattr(errors, error, OSError)("details")

    monkeypatch.setattr(repository, "_hub", lambda: SimpleNamespace(HfApi=Api))
    assert main(["publish", str(results), "--to", "me/models"]) == ExitCode.USAGE
    assert text in capsys.readouterr().err

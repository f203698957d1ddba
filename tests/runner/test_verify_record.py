"""A record whose run is repeated in part: what has changed since the run is found, what cannot be checked is named."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mamlbench.plugin import load_plugins
from mamlbench.record import ResultStore, read_record
from mamlbench.runner import repeat_episodes as repeat
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import make_request, plan
from mamlbench.runner.repeat_episodes import choose_episodes
from mamlbench.runner.verify_record import RecordVerifier

TINY = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 30,
    "validation_episodes": 4,
    "iterations": 3,
    "meta_batch_size": 2,
    "engine": "vmap",
}
WIDTH = {"backbone.width": 4}
METHODS = [
    entry.name
    for entry in load_plugins().registry.entries("algorithm")
    if entry.origin == "mamlbench" and "classification" in entry.load().kinds
]
ALL = ("record", "model", "episodes", "files", "data", "test")


def run(plugins, folders, algorithm="maml", options=WIDTH, **settings):
    (spec,) = plan(make_request(algorithms=(algorithm,), options=options, **{**TINY, **settings}), plugins)
    (record,) = launch([spec], plugins, folders, own_process=False)
    return folders.results / f"{record.name}.json"


@pytest.fixture(scope="module")
def finished(plugins, folders):
    return run(plugins, folders)


@pytest.fixture
def path(finished, tmp_path):
    """A copy of a finished run, to be damaged."""
    shutil.copytree(finished.with_suffix(""), tmp_path / finished.stem)
    return Path(shutil.copy(finished, tmp_path))


@pytest.fixture
def verify(plugins, folders):
    def verify(path, loaded=plugins, **options):
        verification = RecordVerifier(loaded, folders, **options).verify(path)
        return verification, {check.name: (check.ok, check.result) for check in verification.checks}

    return verify


def rewritten(path, **changes):
    """Write a changed record with a hash that fits: what only its other checks can find."""
    record = read_record(path)
    return ResultStore(path.parent).write(path.stem, record.model_copy(update=changes))


def with_other_scores(path, change):
    """Change the scores of the episodes of the first metric and mode, and write the record with a fitting hash."""
    content = json.loads(path.read_text())
    first = next(iter(content["test"]["metrics"].values()))
    change(next(iter(first["modes"].values())))
    path.write_text(json.dumps(content))
    return rewritten(path)


def exchange(result):
    """Exchange the scores of two episodes that differ: the mean stays."""
    scores = result["episode_scores"]
    other = next(number for number, score in enumerate(scores) if score != scores[0])
    scores[0], scores[other] = scores[other], scores[0]


def test_a_sound_record_passes_every_check(verify, path):
    verification, checks = verify(path)
    assert verification.ok is True and tuple(checks) == ALL
    assert checks["record"] == (True, "consistent; SHA-256 as written")
    iteration = read_record(path).selected_iteration
    assert checks["model"] == (True, f"of iteration {iteration}; SHA-256 of its files as recorded")
    assert checks["episodes"] == (True, "episodes.npz, episodes.png: SHA-256 as recorded")
    assert checks["data"] == (True, "toy: the hashes of the data and of 3 splits are as recorded")
    # two networks in two modes
    assert checks["test"] == (True, "20 of 30 episodes computed again: 80 scores, all equal")


@pytest.mark.parametrize("algorithm", METHODS)
def test_episodes_of_every_method_are_the_same_bit_for_bit(verify, plugins, folders, algorithm):
    steps = "test_steps" in plugins.registry.load("algorithm", algorithm).Options.model_fields
    options = {**WIDTH, "test_steps": 2} if steps else WIDTH
    _, checks = verify(run(plugins, folders, algorithm, options), seed=3)
    assert checks["test"][0] is True, checks["test"]


@pytest.mark.parametrize(
    "settings",
    [
        {"engine": "loop"},
        {"engine": "vmap[4]"},
        {"precision": "float64"},
        {"precision": "bf16"},
        {"deterministic": True},
        {"test_until": 0.05, "test_episodes": 1000},
        {"test_sampling": "without-replacement"},
        {"label_noise": 0.2, "corrupt": "blur:1"},
        {"metrics": ("macro F1", "accuracy"), "modes": ("inductive",)},
        {"dataset": "sinusoid", "backbone": "mlp", "ways": 1, "shots": 5, "queries": 5},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_episodes_are_computed_under_the_conditions_of_the_run(verify, plugins, folders, settings):
    options = {"backbone.hidden": "[8]"} if settings.get("backbone") == "mlp" else {"backbone.width": 4}
    path = run(plugins, folders, options=options, **settings)
    assert read_record(path).status == "finished", read_record(path).reason
    verification, checks = verify(path)
    assert verification.ok is True, checks


def test_the_number_of_threads_is_that_of_the_run(verify, path, monkeypatch):
    before, seen = torch.get_num_threads(), []
    environment = read_record(path).environment.model_copy(update={"threads": 3})
    rewritten(path, environment=environment)
    monkeypatch.setattr(repeat, "check_interrupt", lambda: seen.append(torch.get_num_threads()))
    _, checks = verify(path)
    assert set(seen) == {3} and torch.get_num_threads() == before and checks["test"][0] is True


@pytest.mark.parametrize("place", [0.0, 0.02, 0.5, 0.999])
def test_one_bit_of_the_model_is_found(verify, path, place):
    tensors = path.with_suffix("") / "model.safetensors"
    content = bytearray(tensors.read_bytes())
    content[int(place * len(content))] ^= 1
    tensors.write_bytes(content)
    verification, checks = verify(path)
    assert verification.ok is False
    assert checks["model"] == (False, "model.json: as recorded; model.safetensors: changed")
    assert checks["test"] == (None, "not repeated, because of: model")


def test_a_changed_file_beside_the_model_is_found_and_the_test_is_repeated_all_the_same(verify, path):
    for name in ("episodes.png", "episodes.npz"):
        file = path.with_suffix("") / name
        file.write_bytes(file.read_bytes() + b"x")
    verification, checks = verify(path)
    assert verification.ok is False and checks["test"][0] is True
    assert checks["episodes"] == (False, "episodes.npz, episodes.png: changed")


def test_a_changed_score_is_found(verify, path):
    text = path.read_text()
    path.write_text(text.replace('"started": "', '"started": "1', 1))
    verification, checks = verify(path)
    assert verification.ok is False
    assert checks["record"] == (False, "its SHA-256 differs: it was changed after it was written")


def test_scores_that_were_exchanged_with_a_fitting_hash_are_found_by_computing_them(verify, path):
    with_other_scores(path, exchange)
    verification, checks = verify(path, episodes=30)
    assert verification.ok is False and checks["record"][0] is True
    ok, result = checks["test"]
    assert ok is False and "30 of 30 episodes computed again: 2 differ (largest difference 0." in result
    assert "in episode 0: trained, accuracy, " in result and "software and machine are those of the run" in result


def test_a_difference_in_another_environment_may_come_from_that(verify, path):
    with_other_scores(path, exchange)
    rewritten(path, environment=read_record(path).environment.model_copy(update={"cpu": "an old one"}))
    verification, checks = verify(path, episodes=30)
    assert verification.ok is None
    ok, result = checks["test"]
    assert ok is None and "2 differ" in result and "may come from what has changed: cpu an old one → " in result


def test_equal_scores_in_another_environment_are_equal(verify, path):
    rewritten(path, environment=read_record(path).environment.model_copy(update={"cpu": "an old one"}))
    verification, checks = verify(path)
    assert verification.ok is True and "all equal; since the run: cpu an old one → " in checks["test"][1]


def test_a_model_of_another_run_with_fitting_hashes_is_found(verify, path, plugins, folders):
    other = run(plugins, folders, seed=1)
    shutil.rmtree(path.with_suffix(""))
    shutil.copytree(other.with_suffix(""), path.with_suffix(""))
    rewritten(path, files=read_record(other).files)
    verification, checks = verify(path)
    assert verification.ok is False and checks["model"][1].startswith("it is that of another run")


def test_settings_of_another_run_are_found(verify, path):
    record = read_record(path)
    rewritten(path, spec=record.spec.model_copy(update={"seed": 4}))
    verification, checks = verify(path)
    assert verification.ok is False and "its settings are not those" in checks["record"][1]


def test_other_data_are_found(verify, path):
    data = read_record(path).data
    hashes = {**data.split_hashes, "test": "0" * 16}
    rewritten(path, data=data.model_copy(update={"content_hash": "f" * 16, "split_hashes": hashes}))
    verification, checks = verify(path)
    assert verification.ok is False and checks["data"][0] is False
    assert "others than those of the run (ffffffffffff recorded, " in checks["data"][1]
    assert checks["data"][1].endswith("; in: test)") and checks["test"] == (None, "not repeated, because of: data")


def test_what_is_not_here_is_named_and_not_passed(verify, path):
    verification, checks = verify(path, load_plugins())
    assert verification.ok is None and checks["record"][0] is True
    assert checks["data"][0] is None and "toy cannot be opened here: Unknown dataset 'toy'" in checks["data"][1]
    assert checks["test"][0] is None and "not repeated: " in checks["test"][1]
    shutil.rmtree(path.with_suffix(""))
    verification, checks = verify(path)
    assert verification.ok is None
    assert checks["model"] == (None, "model.json, model.safetensors: missing")
    assert checks["test"] == (None, "not repeated: the model is missing")


def test_a_record_of_an_early_release_says_what_it_does_not_have(verify, path):
    content = json.loads(path.read_text())
    for name in ("sha256", "files"):
        del content[name]
    path.write_text(json.dumps(content))
    verification, checks = verify(path)
    assert verification.ok is None and checks["test"][0] is True and checks["data"][0] is True
    assert checks["episodes"] == (True, "episodes.npz: SHA-256 as recorded")
    for name in ("record", "model"):
        assert checks[name][0] is None and "not recorded: the record is of an early release" in checks[name][1]
    tensors = path.with_suffix("") / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\0")
    verification, checks = verify(path)
    assert verification.ok is False and "the SHA-256 of 'model.safetensors' differs" in checks["model"][1]
    tensors.with_suffix(".json").unlink()
    _, checks = verify(path)
    assert checks["model"] == (None, "missing")


def test_a_device_that_is_not_here_is_named(verify, path):
    record = read_record(path)
    spec = record.spec.model_copy(update={"device": "cuda:7"})
    (path.with_suffix("") / "model.json").unlink()
    rewritten(path, spec=spec, spec_hash=spec.hash)
    _, checks = verify(path)
    assert checks["test"][0] is None and "there is no device 'cuda:7' here" in checks["test"][1]


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 99}'])
def test_a_damaged_record_has_one_check_that_failed(verify, tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    verification, checks = verify(path)
    assert verification.ok is False and set(checks) == {"record"} and str(path) in checks["record"][1]


@pytest.fixture(scope="module")
def interrupted(plugins, folders):
    return run(plugins, folders, "interrupts", iterations=20, validate_every=5)


def test_the_checkpoint_of_an_interrupted_run_is_checked(verify, interrupted):
    verification, checks = verify(interrupted)
    assert verification.ok is True and set(checks) == {"record", "checkpoint", "files", "data"}
    assert checks["checkpoint"] == (True, "of iteration 10; its checksums are right")
    folder = interrupted.with_suffix("")
    for tensors in folder.glob("checkpoint-*.safetensors"):
        tensors.write_bytes(tensors.read_bytes()[:-1] + b"\7")
    verification, checks = verify(interrupted)
    assert verification.ok is False and "is damaged (its SHA-256 differs)" in checks["checkpoint"][1]
    for file in folder.iterdir():
        file.unlink()
    assert verify(interrupted)[1]["checkpoint"] == (None, "missing")


def test_a_plugin_that_raises_now_is_named(verify, path, monkeypatch):
    def leave(*arguments, **named):
        raise SystemExit("the plugin leaves")

    monkeypatch.setattr("mamlbench_plugins.algorithms.maml.MAML.adaptation", leave)
    verification, checks = verify(path)
    assert verification.ok is None and checks["test"] == (None, "not repeated: SystemExit: the plugin leaves")


def test_an_interrupt_is_no_result(verify, path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(repeat, "check_interrupt", interrupt)
    with pytest.raises(KeyboardInterrupt):
        verify(path)


def test_no_episode_at_all_may_be_repeated(verify, path):
    assert verify(path, episodes=0)[1]["test"] == (True, "0 of 30 episodes computed again: 0 scores, all equal")


def test_episodes_are_chosen_by_the_seed_alone_and_once_each():
    chosen = choose_episodes(600, 20, 1)
    assert chosen == choose_episodes(600, 20, 1) == sorted(set(chosen)) and len(chosen) == 20
    assert chosen != choose_episodes(600, 20, 2)
    assert choose_episodes(7, 20, 0) == list(range(7))
    often = [number for seed in range(600) for number in choose_episodes(600, 20, seed)]
    counts = [often.count(number) for number in range(600)]
    assert sum((count - 20) ** 2 / 20 for count in counts) < 720, "chi-square with 599 degrees of freedom, 0.9995"

"""Whole runs on a tiny data set: what is recorded, and what every kind of end leaves behind."""

import json
import signal

import pytest
import torch

import mamlbench
from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins
from mamlbench.record import read_record
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.checkpoints import load_model
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan
from mamlbench.runner.train import TrainingLoop

SMALL = {"backbone.width": 8}
TINY = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 40,
    "validation_episodes": 20,
    "meta_batch_size": 4,
    "engine": "vmap",
}


@pytest.fixture
def run(tmp_path, toy_plugin):
    def run(*algorithms, listener=None, options=None, **request):
        plugins = load_plugins([toy_plugin])
        if listener is not None:
            plugins.manager.register(listener, name="listener")
        asked = {**TINY, "iterations": 24, **request}
        specs = plan(RunRequest(algorithms=algorithms, options={**SMALL, **(options or {})}, **asked), plugins)
        folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
        return launch(specs, plugins, folders)

    return run


@pytest.mark.parametrize("name", ["maml", "fomaml", "reptile", "pretrain"])
def test_a_finished_run(run, tmp_path, name):
    (record,) = run(name, options={"test_steps": 4}, engine="auto")
    assert read_record(tmp_path / "results" / f"{record.name}.json") == record
    assert record.status == "finished" and record.reason == ""
    assert record.engine["name"] == "vmap"
    measured = record.measurement
    parts = sum(segment.wall for segment in measured.segments.values())
    assert parts == pytest.approx(measured.wall_seconds)
    assert measured.iterations == 24 and measured.peak_memory_bytes > 0
    assert 0 < measured.warmup.wall <= measured.segments["train"].wall
    assert record.data.split_sizes == {"train": 40, "val": 15, "test": 15}
    assert record.test.adaptation_steps == 4
    assert len(record.test.score_after_step) == 5
    for mode in ("transductive", "inductive"):
        result = record.test.modes[mode]
        assert len(result.episode_scores) == len(result.untrained_episode_scores) == 40
        assert result.score.low <= result.score.mean <= result.score.high
        assert result.gain.mean == pytest.approx(result.score.mean - result.untrained.mean, abs=1e-6)
    assert record.test.score_after_step[-1] == pytest.approx(record.test.modes["transductive"].score.mean, abs=1e-6)
    assert record.selected_iteration in {point.iteration for point in record.curve if point.validation}
    best = max(point.validation["accuracy"] for point in record.curve if point.validation)
    selected = [p.validation for p in record.curve if p.iteration == record.selected_iteration and p.validation]
    assert selected == [{"accuracy": best}]


def test_a_long_adaptation_is_scored_at_some_of_its_steps(run):
    (record,) = run("pretrain", options={"test_steps": 20})
    assert record.test.adaptation_steps == 20
    assert record.test.steps_reported == [0, 1, 2, 3, 4, 5, 8, 12, 18, 20]
    assert record.test.score_after_step[-1] == pytest.approx(record.test.modes["transductive"].score.mean, abs=1e-6)


@pytest.mark.parametrize(("came", "status"), [(True, "interrupted"), (False, "failed")])
def test_an_interrupt_that_torch_turns_into_an_error_is_one_still(run, monkeypatch, came, status):
    def inside_an_operation(self, earlier):
        try:
            if came:
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            pass
        raise RuntimeError("KeyboardInterrupt: <EMPTY MESSAGE>")

    monkeypatch.setattr(TrainingLoop, "run", inside_an_operation)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started this behind it
    try:
        (record,) = run("maml")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert record.status == status and "at iteration 0" in record.reason


def test_examples_seen(run):
    (maml,), (reptile,), (pretrain,) = (
        run(name, test_episodes=2, validation_episodes=2) for name in ("maml", "reptile", "pretrain")
    )
    assert maml.measurement.examples_seen == 24 * 4 * 3 * (1 + 2)
    assert reptile.measurement.examples_seen == 24 * 4 * 3 * reptile.spec.training.shots
    assert pretrain.measurement.examples_seen == 24 * 4


def test_the_same_spec_gives_the_same_numbers(run):
    (first,), (second,) = run("maml"), run("maml")
    assert first.spec_hash == second.spec_hash and first.fingerprint == second.fingerprint
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.test == second.test
    assert [p.loss for p in first.curve] == [p.loss for p in second.curve]


def test_validation_and_test_episodes_are_the_same_for_all_algorithms_and_seeds(run):
    """The untrained network of MAML and FOMAML is the same one: so are its scores, episode by episode."""
    same = {"options": {"inner_lr": 0.4, "test_steps": 2}}
    (maml,), (fomaml,), (other_seed,) = run("maml", **same), run("fomaml", **same), run("maml", seed=1, **same)
    scores = [r.test.modes["transductive"].untrained_episode_scores for r in (maml, fomaml, other_seed)]
    assert scores[0] == scores[1]
    assert scores[0] != scores[2]


def test_evaluate_repeats_the_test_and_takes_other_protocols(run, tmp_path, toy_plugin):
    (record,) = run("maml")
    plugins = load_plugins([toy_plugin])
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    path = tmp_path / "results" / f"{record.name}.json"
    again = evaluate_model(path, plugins, folders)
    assert again.modes == record.test.modes
    for target in (path.with_suffix(""), path.with_suffix("") / "model.safetensors"):
        assert evaluate_model(target, plugins, folders) == again
    other = evaluate_model(
        path,
        plugins,
        folders,
        protocol={"queries": 1, "modes": ("support+query",), "test_episodes": 30},
        options={"test_steps": 1},
    )
    assert list(other.modes) == ["support+query"]
    assert len(other.modes["support+query"].episode_scores) == 30
    assert other.adaptation_steps == 1
    with pytest.raises(ConfigError, match="3 outputs"):
        evaluate_model(path, plugins, folders, protocol={"ways": 4})


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("explodes", "diverged", "is not finite after iteration 12: try a smaller outer_lr (now 0.001), or a clip."),
        ("raises", "failed", "ValueError: the plugin's own mistake"),
        ("interrupts", "interrupted", "at iteration"),
    ],
)
def test_a_run_that_does_not_finish_leaves_a_record_and_a_checkpoint(run, tmp_path, name, status, reason):
    (record,) = run(name, options={"outer_lr": 1e-3})
    assert record.status == status, record.reason
    assert reason in record.reason.lower() or reason in record.reason
    assert record.test is None and (record.model is not None) == (status == "diverged")
    assert read_record(tmp_path / "results" / f"{record.name}.json") == record
    checkpoint = tmp_path / "results" / record.checkpoint
    saved = json.loads(checkpoint.read_text())
    assert 0 < saved["progress"]["iteration"] <= 12
    tensors = load_model(checkpoint).state
    assert tensors and all(bool(value.isfinite().all()) for value in tensors.values())
    assert not list((tmp_path / "results").rglob("*.tmp"))


def test_an_interrupt_starts_none_of_the_rest(run):
    records = run("interrupts", "maml")
    assert [(r.spec.algorithm.name, r.status) for r in records] == [("interrupts", "interrupted")]


def test_several_runs_each_have_a_process_of_their_own(run):
    events = []

    class Listener:
        @mamlbench.hookimpl
        def mamlbench_progress(self, spec, step, metrics):
            events.append((spec.algorithm.name, step))

        @mamlbench.hookimpl
        def mamlbench_run_finished(self, spec, record):
            events.append((spec.algorithm.name, "finished"))

    before = torch.get_num_threads()
    records = run("maml", "fomaml", listener=Listener())
    assert [r.status for r in records] == ["finished", "finished"]
    assert all(r.measurement.peak_memory_bytes > 10_000_000 for r in records)
    assert events.index(("maml", "finished")) < events.index(("fomaml", 1))
    assert ("fomaml", 24) in events
    assert torch.get_num_threads() == before


def test_a_listener_that_fails_is_named_in_the_record_and_costs_nothing(run, tmp_path):
    class Broken:
        @mamlbench.hookimpl
        def mamlbench_evaluated(self, spec, step, split, metrics):
            raise RuntimeError("tracker down")

    (record,) = run("maml", listener=Broken())
    assert record.status == "finished"
    (error,) = record.listener_errors
    assert error.startswith("listener: mamlbench_evaluated: RuntimeError: tracker down (")
    assert error.endswith('raise RuntimeError("tracker down"))'), "the source line is named"
    assert read_record(tmp_path / "results" / f"{record.name}.json").listener_errors == record.listener_errors


def test_what_cannot_be_vectorized_runs_in_a_loop_and_says_so(run):
    (record,) = run("unvectorizable", iterations=4, engine="auto")
    assert record.status == "finished"
    assert record.engine["name"] == "loop"
    assert record.engine["reason"].startswith("vmap: ")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"ways": 16}, "16 ways were requested, and the split has 15 classes"),
        ({"shots": 11, "queries": 2}, "13 examples per class were requested"),
    ],
)
def test_an_impossible_protocol_leaves_nothing_behind(run, tmp_path, request_, message):
    with pytest.raises(ConfigError, match=message):
        run("maml", **request_)
    assert not (tmp_path / "results").exists()


def test_time_to_a_target(run):
    (reached,) = run("maml", target_score=0.01)
    (missed,) = run("maml", target_score=1.01)
    assert 0 < reached.measurement.seconds_to_target <= reached.measurement.wall_seconds
    assert missed.measurement.seconds_to_target is None


def test_from_python(tmp_path, toy_plugin, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = mamlbench.run(
        "fomaml",
        "toy",
        plugins=[toy_plugin],
        options=SMALL,
        iterations=6,
        **{key: value for key, value in TINY.items() if key != "dataset"},
    )
    assert record.status == "finished"
    assert record.measurement.peak_memory_bytes is None  # this process ran other things before
    evaluation = mamlbench.evaluate(f"results/{record.name}.json", plugins=[toy_plugin], test_episodes=20)
    assert len(evaluation.modes["inductive"].episode_scores) == 20
    frame = mamlbench.load_records("results")
    assert set(frame["algorithm"]) == {"fomaml"}

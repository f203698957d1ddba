"""Trackers get what the record has, and a tracker that fails does not affect the run."""

import json
import struct
from types import SimpleNamespace

import pytest

from mamlbench.api import Tracker
from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.plugin.tracking import TrackerListener
from mamlbench.record import read_record
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan

TINY = {"dataset": "toy", "ways": 3, "queries": 2, "test_episodes": 20, "validation_episodes": 10, "meta_batch_size": 4}
BROKEN = """
import mamlbench
from mamlbench.api import Tracker
class Broken(Tracker):
    def begin(self, name, settings):
        print("begun", name, settings["algorithm.name"], settings["protocol.ways"])
    def log(self, metrics, step):
        raise RuntimeError("no network")
    def end(self, status):
        print("ended", status)
@mamlbench.hookimpl
def mamlbench_register_trackers(register):
    register("broken", Broken)
"""


@pytest.fixture
def run(tmp_path, toy_plugin):
    """Run algorithms with a tracker, in this process: ``run("tensorboard", "maml", "explodes")``."""

    def run(tracker, *algorithms):
        plugins = load_plugins([toy_plugin])
        plugins.track([tracker], tmp_path)
        folders = Folders(results=tmp_path, cache=tmp_path / "cache")
        records = []
        for name in algorithms:
            request = RunRequest(algorithms=(name,), options={"backbone.width": 8}, iterations=24, **TINY)
            records += launch(plan(request, plugins), plugins, folders, own_process=False)
        assert all(record.listener_errors == [] for record in records)
        return records

    return run


def read_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for path in sorted(folder.iterdir(), key=lambda path: path.name.rsplit("-", 1)[1]):
        events = EventAccumulator(str(path))
        events.Reload()
        texts = {
            name: events.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode()
            for name in ("settings", "status")
        }
        curves = {
            name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]
        }
        yield curves, texts["settings"], texts["status"]


def read_mlflow(folder):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=folder.as_uri())
    experiment = client.get_experiment_by_name("mamlbench")
    for run in sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.start_time):
        histories = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        curves = {name: [(metric.step, metric.value) for metric in history] for name, history in histories.items()}
        settings = "\n".join(f"{key} = {value}" for key, value in run.data.params.items())
        assert run.info.status == {"finished": "FINISHED", "diverged": "FAILED"}[run.data.tags["status"]]
        yield curves, settings, run.data.tags["status"]


def read_wandb(folder):
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        curves, settings, status = {}, "", None
        for record in wandb_records(path):
            for update in record.run.config.update:
                settings += f"{update.key} = {json.loads(update.value_json)}\n"
            row = {(*item.nested_key, item.key)[0]: json.loads(item.value_json) for item in record.history.item}
            for name in row.keys() - {"iteration", "_step", "_runtime", "_timestamp"}:
                curves.setdefault(name, []).append((row["iteration"], row[name]))
            for update in record.summary.update:
                status = json.loads(update.value_json) if update.key == "status" else status
            if record.WhichOneof("record_type") == "exit":
                assert (record.exit.exit_code == 0) == (status == "finished")
        yield curves, settings, status


def wandb_records(path):
    """The records of a file of wandb: after seven bytes, chunks of which none crosses a block's border."""
    from wandb.proto.wandb_internal_pb2 import Record

    block, header, last_chunks = 32768, struct.Struct("<IHB"), (1, 4)
    content, position, parts = path.read_bytes(), 7, b""
    assert content.startswith(b":W&B")
    while position + header.size <= len(content):
        if block - position % block < header.size:
            position += block - position % block
            continue
        _, length, kind = header.unpack_from(content, position)
        parts += content[position + header.size :][:length]
        position += header.size + length
        if kind in last_chunks:
            yield Record.FromString(parts)
            parts = b""


def close_to(pairs):
    """Steps and values, which TensorBoard stores in 32 bits."""
    return [(step, pytest.approx(value, rel=1e-6)) for step, value in pairs]


@pytest.fixture
def own_environment(monkeypatch):
    """Restore the environment variables that a tracker sets."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # as the tracker does; restored when the test ends


@pytest.mark.usefixtures("own_environment")
def test_trackers_receive_what_is_recorded(run, tracker, tmp_path):
    records = run(tracker, "fomaml", "explodes")
    read = {"tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}[tracker]
    tracked = list(read(tmp_path / tracker))
    assert [status for *_, status in tracked] == [record.status for record in records] == ["finished", "diverged"]
    for record, (curves, settings, _) in zip(records, tracked, strict=True):
        losses = [(point.iteration, point.loss) for point in record.curve if point.loss is not None]
        assert curves["train/loss"] == close_to(losses)
        assert f"algorithm.name = {record.spec.algorithm.name}" in settings and "training.iterations = 24" in settings
    curves, record = tracked[0][0], records[0]
    scores = [(point.iteration, point.validation["accuracy"]) for point in record.curve if point.validation]
    assert curves["val/accuracy"] == close_to(scores)
    for mode, result in record.test.modes.items():
        assert curves[f"test/{mode}/accuracy/score"] == close_to([(24, result.score.mean)])


def test_a_tracker_that_fails_does_not_affect_the_run(tmp_path, toy_plugin, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}", "broken.py"]\ntrackers = ["broken"]\n')
    tiny = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    code = main(["run", "--algo", "fomaml", "--iterations", "6", *tiny, "-o", "backbone.width=8"])
    shown = capsys.readouterr()
    (path,) = (tmp_path / "results").glob("*.json")
    record = read_record(path)
    assert code == ExitCode.OK and record.status == "finished" and record.test is not None
    assert set(record.listener_errors) == {
        f"tracker broken: mamlbench_{event}: RuntimeError: no network (broken.py, line 8: "
        'raise RuntimeError("no network"))'
        for event in ("progress", "evaluated", "run_finished")
    }
    assert (
        "begun toy-3w1s-fomaml-seed0" in shown.out
        and "fomaml 3" in shown.out
        and "an error that did not end the run" in shown.err
    )
    assert record.measurement.peak_memory_bytes > 0  # the run had its own process, without the tracker


def test_a_tracker_that_cannot_begin_tries_again_with_the_same_name(tmp_path, toy_plugin):
    calls = []

    class Late(Tracker):
        def begin(self, name, settings):
            calls.append(name)
            if len(calls) < 3:
                raise ConnectionError

        def log(self, metrics, step):
            calls.append(step)

        def end(self, status):
            calls.append(status)

    (spec,) = plan(RunRequest(algorithms=("fomaml",), **TINY), load_plugins([toy_plugin]))
    listener = TrackerListener(Late, tmp_path)
    for step in (1, 2):
        with pytest.raises(ConnectionError):
            listener.mamlbench_progress(spec=spec, step=step, metrics={"loss": 0.5})
    listener.mamlbench_progress(spec=spec, step=3, metrics={"loss": 0.5})
    listener.mamlbench_run_finished(spec=spec, record=SimpleNamespace(status="finished", measurement=None, test=None))
    assert calls == [calls[0]] * 3 + [3, "finished"]


def test_runs_at_the_same_time_have_one_tracker_each(tmp_path, toy_plugin):
    logs = []

    class Lines(Tracker):
        def __init__(self, folder):
            super().__init__(folder)
            self.lines = []
            logs.append(self.lines)

        def begin(self, name, settings):
            self.lines.append(f"begin {settings['seed']}")

        def log(self, metrics, step):
            self.lines.append(step)

        def end(self, status):
            self.lines.append(status)

    first, second, third = plan(RunRequest(algorithms=("fomaml",), seeds=3, **TINY), load_plugins([toy_plugin]))
    listener = TrackerListener(Lines, tmp_path)
    finished = SimpleNamespace(status="finished", measurement=None, test=None)
    for spec, step in ((first, 1), (second, 1), (first, 2), (second, 2)):
        listener.mamlbench_progress(spec=spec, step=step, metrics={"loss": 0.5})
    listener.mamlbench_run_finished(spec=first, record=finished)
    listener.mamlbench_progress(spec=third, step=1, metrics={"loss": 0.5})
    for spec in (second, third):
        listener.mamlbench_run_finished(spec=spec, record=finished)
    assert logs == [["begin 0", 1, 2, "finished", "begin 2", 1, "finished"], ["begin 1", 1, 2, "finished"]]


def test_a_missing_package_is_reported_before_any_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mamlbench_plugins.trackers.packages.find_spec", lambda name: None)
    assert main(["run", "--algo", "maml", "--track", "tensorboard"]) == ExitCode.USAGE
    assert "pip install tensorboard" in capsys.readouterr().err
    assert main(["run", "--algo", "maml", "--track", "tensorbord"]) == ExitCode.USAGE
    assert "Unknown tracker 'tensorbord'. Did you mean 'tensorboard'?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

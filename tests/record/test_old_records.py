"""Records of every schema version stay readable.

Those of version 2 were written by ``mamlbench run --plugin tests/toys/toy_plugin.py --dataset toy --ways 3 --queries 2
--test-episodes 20 --validation-episodes 10 --iterations 12 --meta-batch-size 4 -o backbone.width=8`` with ``--algo``
fomaml (and three times ``--metric``), explodes and interrupts.
"""

import json
import math
from pathlib import Path

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.record import SCHEMA_VERSION, RunRecord, read_record

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("schema-*.json"))


def test_every_schema_version_has_its_files():
    versions = {int(path.stem.split("-")[1]) for path in FILES}
    assert versions == set(range(1, SCHEMA_VERSION + 1)), "a new version needs files of its own here"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_old_record_is_read_and_survives_being_written_again(path):
    record = read_record(path)
    assert repr(RunRecord.model_validate_json(record.model_dump_json())) == repr(record)  # repr: NaN is not NaN
    assert path.stem.endswith(record.status)


def test_fields_of_the_first_version_are_understood():
    record = read_record(DATA / "schema-1-finished.json")
    assert (record.spec.algorithm.name, record.spec.protocol.ways, record.spec.seed) == ("fomaml", 3, 0)
    test = record.test
    assert len(test.modes["inductive"].episode_scores) == test.protocol.test_episodes == 20
    assert test.modes["transductive"].score.mean == pytest.approx(0.467, abs=1e-3)
    assert record.measurement.iterations == 12 and record.measurement.peak_memory_bytes > 10**8
    assert record.environment.packages["torch"] and record.data.split_hashes["test"]
    assert record.spec.precision == test.precision == "float32"
    assert record.spec.training.ways == 3
    diverged = read_record(DATA / "schema-1-diverged.json")
    assert diverged.test is None and "not a finite number" in diverged.reason
    assert all(point.loss is None or not math.isfinite(point.loss) or point.loss >= 0 for point in diverged.curve)


VERSION_1_OPTIONS = [  # kind of component, name, options as version 1 wrote them
    ("algorithm", "imaml", {"strength": 2.0}),
    ("algorithm", "maml++", {"multi_step": 0.1, "first_order": 0.0}),
    ("algorithm", "reptile", {"train_batch": 10, "test_batch": 5, "outer_step": 1.0}),
    ("backbone", "conv4-pooled", {"readout": "mean"}),
    ("backbone", "conv4-strided", {"readout": "flatten"}),
    ("dataset", "cifar-fs", {"normalise": "channels"}),
    ("dataset", "fc100", {"normalise": "channels"}),
    ("dataset", "folder", {"side": 84, "colour": True, "normalise": "none"}),
    ("dataset", "miniimagenet", {"normalise": "channels"}),
    ("dataset", "omniglot", {"ink": 0}),
]


@pytest.mark.parametrize(("kind", "name", "options"), VERSION_1_OPTIONS, ids=str)
def test_options_of_version_1_are_those_of_today_under_other_names(tmp_path, kind, name, options):
    document = json.loads((DATA / "schema-1-finished.json").read_text())
    document["spec"][kind] = {"name": name, "options": options}
    (tmp_path / "record.json").write_text(json.dumps(document))
    component = getattr(read_record(tmp_path / "record.json").spec, kind)
    plugin = load_plugins().registry.load(kind, name)
    assert plugin.Options(**component.options).model_dump(include=set(component.options)) == component.options
    assert sorted(map(str, component.options.values())) == sorted(map(str, options.values()))


def test_the_order_of_pooling_is_no_option_any_more(tmp_path):
    document = json.loads((DATA / "schema-1-finished.json").read_text())
    document["spec"]["backbone"] = {"name": "conv4-pooled", "options": {"pooling": "early", "width": 8}}
    (tmp_path / "record.json").write_text(json.dumps(document))
    assert read_record(tmp_path / "record.json").spec.backbone.options == {"width": 8}


def test_the_metric_of_version_1_becomes_a_mapping_of_one():
    record = read_record(DATA / "schema-1-finished.json")
    assert list(record.test.metrics) == ["accuracy"] and record.test.metric == "accuracy"
    assert (record.test.unit, record.test.higher_is_better) == ("%", True)
    validated = [point for point in record.curve if point.validation]
    assert validated and all(list(point.validation) == ["accuracy"] for point in validated)
    assert record.episodes is None and record.spec.protocol.metrics == ()


def test_version_2_holds_several_metrics_the_first_of_which_selected():
    record = read_record(DATA / "schema-2-finished.json")
    assert list(record.test.metrics) == list(record.spec.protocol.metrics)
    assert record.test.metric == "accuracy" and record.test.metrics["negative log-likelihood"].unit == "nats"
    scores = {point.iteration: point.validation["accuracy"] for point in record.curve if point.validation}
    assert scores[record.selected_iteration] == max(scores.values())
    assert record.episodes.file.endswith("episodes.npz")


def read_changed(tmp_path, change, file="schema-1-finished.json"):
    """Read a record of version 1 that was changed as a document."""
    document = json.loads((DATA / file).read_text())
    change(document)
    (tmp_path / "record.json").write_text(json.dumps(document))
    return read_record(tmp_path / "record.json")


def test_engines_of_version_1_have_the_names_of_today(tmp_path):
    def recompute(document):
        document["spec"]["engine"] = "loop+recomputed"
        document["engine"] = {"name": "loop+recomputed", "trials": [{"name": "vmap"}, {"name": "loop+recomputed"}]}

    record = read_changed(tmp_path, recompute)
    assert record.spec.engine == record.engine["name"] == "loop+remat"
    assert [trial["name"] for trial in record.engine["trials"]] == ["vmap", "loop+remat"]


@pytest.mark.parametrize(("ways", "metric"), [(3, "accuracy"), (1, "mean squared error")])
def test_the_curve_of_a_run_that_was_never_tested_has_the_metric_of_its_tasks(tmp_path, ways, metric):
    def validate(document):
        document["spec"]["protocol"]["ways"] = ways
        document["curve"][-1]["validation"] = 0.5

    record = read_changed(tmp_path, validate, "schema-1-diverged.json")
    assert record.curve[-1].validation == {metric: 0.5}

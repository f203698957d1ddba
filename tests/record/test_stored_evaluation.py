"""Tests of models that are stored beside them: what their files are named after, and what is not trusted."""

import json

import pytest
from toy_record import make_spec

from mamlbench.errors import UnwrittenResultError
from mamlbench.record import Evaluation, Interval, MetricResult, ModeResult, ResultStore, utc_now
from mamlbench.record.stored_evaluation import EvaluationKey, StoredEvaluation, read_evaluation, write_evaluation


@pytest.fixture
def stored():
    spec = make_spec()
    key = EvaluationKey(model_sha256="a" * 64, spec=spec, data_hash="b", resized=False, code="c", torch="2.0")
    mode = ModeResult(score=Interval(mean=0.5, low=0.4, high=0.6), episode_scores=[0.25, 0.75])
    metric = MetricResult(unit="%", higher_is_better=True, modes={"inductive": mode}, score_after_step=[0.5])
    test = Evaluation(
        split="test", protocol=spec.protocol, adaptation_steps=0, metrics={"accuracy": metric}, steps_reported=[0]
    )
    return StoredEvaluation(key=key, started=utc_now(), evaluation=test)


def test_a_test_is_read_as_it_was_written(tmp_path, stored):
    path = write_evaluation(tmp_path, stored)
    assert path.name == stored.key.file_name and read_evaluation(tmp_path, stored.key) == (stored, "")
    assert json.loads(path.read_text())["evaluation"] == json.loads(stored.evaluation.model_dump_json())


@pytest.mark.parametrize("field", ["model_sha256", "data_hash", "resized", "code", "torch"])
def test_whatever_the_numbers_depend_on_is_another_file(tmp_path, stored, field):
    write_evaluation(tmp_path, stored)
    value = True if field == "resized" else "other"
    other = stored.key.model_copy(update={field: value})
    assert other.file_name != stored.key.file_name and read_evaluation(tmp_path, other) == (None, "")


def test_another_protocol_is_another_file(stored):
    spec = stored.key.spec
    changed = spec.model_copy(update={"protocol": spec.protocol.model_copy(update={"test_episodes": 7})})
    assert stored.key.model_copy(update={"spec": changed}).file_name != stored.key.file_name


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-40],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace('"torch": "2.0"', '"torch": "2.1"'),
        lambda text: text.replace('"started"', '"begun"'),
        lambda text: "[" * 100_000,
    ],
)
def test_a_damaged_file_is_named_and_not_used(tmp_path, stored, damage):
    path = write_evaluation(tmp_path, stored)
    path.write_text(damage(path.read_text()))
    read, problem = read_evaluation(tmp_path, stored.key)
    assert read is None and problem.startswith(f"'{path}' is not a test that can be read") and "\n" not in problem


def test_a_file_under_the_name_of_another_test_is_not_used(tmp_path, stored):
    other = stored.key.model_copy(update={"code": "other"})
    write_evaluation(tmp_path, stored).rename(tmp_path / other.file_name)
    assert read_evaluation(tmp_path, other) == (None, "")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, stored):
    with pytest.raises(UnwrittenResultError, match="The test of a model could not be written"):
        write_evaluation(tmp_path / "nowhere", stored)


def test_a_stored_test_is_no_record(tmp_path, stored):
    write_evaluation(tmp_path, stored)
    (tmp_path / "evaluation-of-mine.json").write_text("{}")
    assert [path.name for path in ResultStore(tmp_path).paths()] == ["evaluation-of-mine.json"]

import math
from array import array

import pytest
from pydantic import ValidationError

from mamlbench.record import (
    SCHEMA_VERSION,
    CurvePoint,
    Evaluation,
    Interval,
    MetricResult,
    ModeResult,
    RunRecord,
    current_environment,
    make_record,
)
from mamlbench.run_spec import Component, Protocol, RunSpec, Training


def tiny_record(status="finished", **changes):
    one = Component(name="x")
    spec = RunSpec(
        algorithm=one,
        dataset=one,
        backbone=one,
        sampler=one,
        protocol=Protocol(),
        preset="quick",
        training=Training(iterations=1, meta_batch_size=1, ways=5, shots=1, queries=1, validate_every=1),
    )
    return make_record(spec, current_environment(), status, **changes)


def test_a_record_says_its_schema_version_and_survives_json():
    record = tiny_record(listener_errors=["a: b"])
    assert record.schema_version == SCHEMA_VERSION
    assert f'"schema_version":{SCHEMA_VERSION}' in record.model_dump_json()
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


def test_scores_are_packed_and_read_as_they_were_written():
    interval = Interval(mean=0.5, low=0.0, high=1.0)
    for scores in ([0.5, 1], []):
        result = ModeResult(score=interval, episode_scores=scores)
        again = ModeResult.model_validate_json(result.model_dump_json())
        assert again == result and again.episode_scores == array("d", scores)
        assert result.model_dump()["episode_scores"] == scores, "a list, as every other program expects"
    with pytest.raises(ValidationError, match="episode_scores"):
        ModeResult(score=interval, episode_scores=["much"])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_the_record_of_a_diverged_run_can_be_read_again(number):
    interval = Interval(mean=number, low=number, high=1.0)
    record = tiny_record(
        status="diverged",
        curve=[CurvePoint(iteration=1, wall_seconds=1, device_seconds=1, loss=number)],
        test=Evaluation(
            split="test",
            protocol=Protocol(),
            adaptation_steps=1,
            metrics={
                "accuracy": MetricResult(
                    unit="%",
                    higher_is_better=True,
                    modes={"inductive": ModeResult(score=interval, episode_scores=[0.5, number])},
                    score_after_step=[number],
                )
            },
            steps_reported=[0],
        ),
    )
    again = RunRecord.model_validate_json(record.model_dump_json())
    assert repr(again) == repr(record)
    assert repr(again.curve[0].loss) == repr(number), "neither lost nor turned into None"


def test_unknown_fields_and_values_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        tiny_record(acuracy=1)
    with pytest.raises(ValidationError, match="status"):
        tiny_record(status="done")
    with pytest.raises(ValidationError, match="attempt"):
        tiny_record(attempt=0)

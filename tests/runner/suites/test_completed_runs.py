"""Finished runs, and estimates from them."""

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.record import Measurement, ResultStore, Segment, make_record
from mamlbench.run_spec import RunRequest
from mamlbench.runner.environment import run_environment
from mamlbench.runner.plan import plan
from mamlbench.runner.suites.completed_runs import START_SECONDS, RunHistory

HERE = run_environment("cpu", load_plugins())


def spec(algorithm="maml", **settings):
    plugins = load_plugins()
    options = {"backbone.width": 8, **settings.pop("options", {})}
    request = RunRequest(algorithms=(algorithm,), device="cpu", options=options, **{"iterations": 100, **settings})
    (only,) = plan(request, plugins)
    return only


def record(spec, *, status="finished", train=20.0, evaluate=4.0, environment=HERE, **changes):
    segments = {"train": Segment(wall=train + 1), "evaluate": Segment(wall=evaluate), "data": Segment(wall=2.0)}
    measured = Measurement(
        segments=segments,
        warmup=Segment(wall=1.0),
        wall_seconds=train + evaluate + 3,
        device_seconds=1.0,
        device_clock="cpu",
        iterations=100,
        examples_seen=1,
    )
    return make_record(spec, environment, status, started="2026-01-01T00:00:00+00:00", measurement=measured, **changes)


@pytest.fixture
def estimate(tmp_path):
    def estimate(planned, *earlier):
        history = RunHistory(ResultStore(tmp_path))
        for run in earlier:
            history.add(run)
        return history.estimate(planned, HERE)

    return estimate


def test_another_seed_takes_as_long(estimate):
    earlier = [record(spec(seed=number), train=train) for number, train in enumerate((19, 20, 30))]
    assert estimate(spec(seed=7), *earlier) == pytest.approx(START_SECONDS + 27)


def test_training_and_evaluation_are_scaled_and_the_rest_is_not(estimate):
    base = spec(test_episodes=200, validation_episodes=100)
    assert base.training.validate_every == 13  # 8 validations: 800 + 2 x 200 episodes
    twice = spec(test_episodes=600, validation_episodes=100, iterations=200)
    assert estimate(twice, record(base)) == pytest.approx(START_SECONDS + 3 + 40 + 4 * 2000 / 1200)


def test_the_most_similar_records_count(estimate):
    other_rate = record(spec(options={"inner_lr": 0.1}), train=50)
    same = record(spec(seed=3))
    assert estimate(spec(), other_rate) == pytest.approx(START_SECONDS + 57)
    assert estimate(spec(), other_rate, same) == pytest.approx(START_SECONDS + 27)


@pytest.mark.parametrize(
    "unlike",
    [
        record(spec("reptile")),
        record(spec(shots=5)),
        record(spec(options={"backbone.width": 64})),
        record(spec(), status="interrupted"),
        record(spec(), environment=HERE.model_copy(update={"cpu": "another"})),
        record(spec(), environment=HERE.model_copy(update={"threads": 99})),
    ],
    ids=["algorithm", "shots", "width", "cut off", "cpu", "threads"],
)
def test_without_a_similar_record_the_time_is_unknown(estimate, unlike):
    assert estimate(spec(), unlike) is None


def test_records_are_found_by_name_and_broken_ones_named(tmp_path):
    store = ResultStore(tmp_path / "results")
    mine = spec()
    for other in (mine, spec(seed=12), spec("fomaml"), spec(shots=5)):
        stem, _ = store.reserve(other, HERE.fingerprint)
        store.write(stem, record(other, name=stem))
    (tmp_path / "results" / f"{store.prefix(mine)}0-broken.json").write_text("{")
    (tmp_path / "results" / "unrelated.json").write_text("{")
    history = RunHistory(store)
    assert [run.spec for run in history.records_of(mine)] == [mine]
    assert history.estimate(spec(seed=99), HERE) == pytest.approx(START_SECONDS + 27)
    assert len(history.problems) == 1 and "broken.json" in history.problems[0]
    assert history.records_of(spec("maml", shots=20)) == []
    history.add(record(spec("maml", shots=20)))
    assert len(history.records_of(spec("maml", shots=20))) == 1

"""The data series of figures."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mamlbench.record import CurvePoint
from mamlbench.report.figures import series
from mamlbench.report.figures.view import MAX_ROWS, labels_of, view_of
from mamlbench.report.table.groups import group_records


def group_of(*records):
    (group,) = group_records(records)
    return group


def row_of(*records):
    (row,) = group_of(*records).rows
    return row


def test_a_curve_is_the_mean_over_seeds_with_the_lowest_and_highest(make_run):
    row = row_of(make_run(score=0.9, seed=0), make_run(score=0.8, seed=1), make_run(score=0.4, seed=2))
    curve = series.learning_curve(row, "accuracy", "iteration", 100.0)
    assert curve.x == list(range(50, 501, 50)) and curve.complete
    assert curve.mean[-1] == pytest.approx(70 * (1 - 2**-5))
    assert (curve.low[-1], curve.high[-1]) == pytest.approx((40 * (1 - 2**-5), 90 * (1 - 2**-5)))
    assert series.learning_curve(row, "accuracy", "device_seconds", 1.0).x[-1] == pytest.approx(500 / 3)


def test_points_that_not_every_seed_reached_are_left_out(make_run):
    short = make_run(seed=1)
    short = short.model_copy(update={"curve": short.curve[:4]})
    assert series.learning_curve(row_of(make_run(), short), "accuracy", "iteration", 1.0).x == [50, 100, 150, 200]


def test_a_run_that_ended_early_keeps_its_curve(make_run):
    curve = series.learning_curve(row_of(make_run(status="diverged")), "accuracy", "iteration", 1.0)
    assert curve.x and not curve.complete


def test_values_that_are_not_finite_are_not_drawn(make_run):
    run = make_run()
    bad = [
        CurvePoint(iteration=i, wall_seconds=1, device_seconds=1, validation={} if v is None else {"accuracy": v})
        for i, v in ((1, math.nan), (2, math.inf), (3, 1e300), (4, None), (5, 0.5))
    ]
    assert series.learning_curve(row_of(run.model_copy(update={"curve": bad})), "accuracy", "iteration", 1.0).mean == [
        0.5
    ]


def test_long_curves_are_thinned_and_keep_their_end(make_run):
    score = {"accuracy": 0.5}
    points = [CurvePoint(iteration=i, wall_seconds=i, device_seconds=i, validation=score) for i in range(1, 5001)]
    curve = series.learning_curve(row_of(make_run().model_copy(update={"curve": points})), "accuracy", "iteration", 1.0)
    assert 100 < len(curve.x) <= series.MAX_POINTS and curve.x[-1] == 5000


def test_steps_are_averaged_over_seeds(make_run):
    curve = series.step_curve(row_of(make_run(score=0.9), make_run(score=0.7, seed=1)), "accuracy", 100.0)
    assert curve.x == [0, 1, 2, 3] and curve.mean == pytest.approx([20, 80, 90, 80])


def test_few_different_scores_have_a_bin_each(make_run):
    centers, width, (distribution,) = series.distributions(
        [row_of(make_run(score=0.8))], "accuracy", "transductive", 100.0
    )
    assert centers == pytest.approx([20, 40, 60, 80, 100]) and width == pytest.approx(20)
    assert distribution.trained == pytest.approx([0, 0, 1 / 3, 1 / 3, 1 / 3]) and distribution.mean == pytest.approx(80)
    assert distribution.untrained == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0])


@given(scores=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_episode_is_in_one_bin(make_run, with_modes, scores):
    run = make_run()
    results = {name: result.model_copy(update={"episode_scores": scores}) for name, result in run.test.modes.items()}
    _, width, (distribution,) = series.distributions(
        [row_of(with_modes(run, results))], "accuracy", "transductive", 1.0
    )
    assert sum(distribution.trained) == pytest.approx(1) and width > 0


def test_seconds_by_segment_are_means_over_runs(make_run):
    seconds = series.seconds_by_segment(row_of(make_run(), make_run(seed=1, speed=2)))
    assert seconds == pytest.approx({"data": 3.75, "train": 75, "evaluate": 11.25, "checkpoint": 0.75, "other": 3})


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30), st.booleans())
def test_no_point_dominates_one_of_the_front_and_each_other_is_dominated(points, higher):
    front = series.pareto_front(points, higher_is_better=higher)
    sign = 1 if higher else -1

    def dominates(point, other):
        return point[0] <= other[0] and sign * point[1] >= sign * other[1] and point != other

    optimal = [points[index] for index in front]
    assert not any(dominates(point, best) for point in points for best in optimal)
    assert all(point in optimal or any(dominates(best, point) for best in optimal) for point in points)
    assert list(np.argsort([cost for cost, _ in optimal])) == list(range(len(optimal)))


def test_the_best_rows_are_shown_best_first(make_run):
    runs = [make_run(f"a{number}", score=0.5 + number / 100) for number in range(MAX_ROWS + 4)]
    view = view_of(group_of(*runs, make_run("broken", status="failed")))
    assert [row.algorithm for row in view.rows] == [f"a{number}" for number in range(MAX_ROWS + 3, 3, -1)]
    assert len({(style.color, style.marker) for style in view.styles}) == MAX_ROWS
    assert len({(style.color, repr(style.line)) for style in view.styles}) == MAX_ROWS
    assert len({style.color for style in view.styles[:8]}) == len({style.marker for style in view.styles[:8]}) == 8
    assert view.left_out == f"the best {MAX_ROWS} of {MAX_ROWS + 5} rows"


def test_the_lowest_error_is_best(make_run):
    view = view_of(group_of(make_run("a", score=2.4, regression=True), make_run("b", score=0.6, regression=True)))
    assert view.labels == ["b", "a"] and view.scale == 1 and not view.higher_is_better


def test_labels_are_unique(make_run):
    rows = group_of(make_run(), make_run(preset="paper"), make_run("reptile"), make_run(options={"inner_lr": 0.1})).rows
    labels = labels_of(rows)
    assert len(set(labels)) == len(rows) and "reptile" in labels and any("inner_lr=0.1" in label for label in labels)

"""Verdicts on metrics beside the first."""

import numpy as np
import pytest

from mamlbench.errors import ConfigError, ExitCode
from mamlbench.record import read_record
from mamlbench.report import LoadedRecords
from mamlbench.report.gate import compare_records, parse_thresholds

LIKELIHOOD = {"unit": "nats", "higher_is_better": False}


@pytest.fixture
def with_both(runs, with_metric):
    """Make records that report macro F1 and a likelihood too, each with the same scores for every seed."""

    def make(f1, likelihood, **settings):
        noise = np.random.default_rng(0).normal(0, 0.01, (20, 200))
        records = []
        for run in runs(**settings):
            record = with_metric(run, "macro F1", list(f1 + noise[run.spec.seed]))
            records.append(
                with_metric(record, "negative log-likelihood", list(likelihood + noise[-run.spec.seed]), **LIKELIHOOD)
            )
        return records

    return make


def compare(side, base, head, *fail):
    return compare_records(side(base), side(head), parse_thresholds(fail))


def by_label(result):
    return {verdict.label: verdict for verdict in result.verdicts}


def test_every_reported_metric_has_a_verdict_in_its_own_unit_and_direction(side, with_both):
    result = compare(side, with_both(0.8, 0.5), with_both(0.7, 0.4))
    verdicts = by_label(result)
    f1, likelihood = verdicts["macro F1, inductive"], verdicts["negative log-likelihood, inductive"]
    assert (f1.kind, f1.unit, f1.lower_is_better, f1.margin) == ("worse", "%", False, 0.01)
    assert (likelihood.kind, likelihood.unit, likelihood.lower_is_better) == ("better", "nats", True)
    assert likelihood.change == pytest.approx(-0.1) and f1.change == pytest.approx(-0.1)
    assert verdicts["accuracy, inductive"].kind == "same" and result.exit_code == ExitCode.OK


@pytest.mark.parametrize("name", ["macro F1", "macro-f1", "macro_f1"])
def test_a_threshold_on_a_metric_applies_to_it_alone(side, with_both, name):
    result = compare(side, with_both(0.8, 0.5), with_both(0.7, 0.7), f"{name}:-1pp")
    assert {verdict.metric for verdict in result.verdicts if verdict.gated} == {"macro F1"}
    assert result.exit_code == ExitCode.REGRESSION and any("macro F1" in reason for reason in result.reasons)
    allowed = compare(side, with_both(0.8, 0.5), with_both(0.7, 0.7), f"{name}:-15pp")
    assert allowed.exit_code == ExitCode.OK


def test_score_and_a_mode_mean_the_first_metric(side, with_both):
    for name, labels in (
        ("score", {"accuracy, transductive", "accuracy, inductive"}),
        ("inductive", {"accuracy, inductive"}),
    ):
        result = compare(side, with_both(0.8, 0.5), with_both(0.7, 0.7), f"{name}:-5pp")
        assert {verdict.label for verdict in result.verdicts if verdict.gated} == labels
        assert result.exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("negative log-likelihood:+1pp", "negative log-likelihood is not a percentage"),
        ("negative log-likelihood:-0.1", "worse if it is higher"),
        ("macro F1:+1pp", "worse if it is lower"),
        ("macro F2:-1pp", "no record reports the metric 'macro F2'. Did you mean 'macro F1'"),
    ],
)
def test_a_threshold_that_does_not_fit_is_refused(side, with_both, threshold, message):
    with pytest.raises(ConfigError, match=message):
        compare(side, with_both(0.8, 0.5), with_both(0.8, 0.5), threshold)


def test_a_metric_that_one_side_does_not_report_is_missing_and_fails_the_gate(side, runs, with_both):
    result = compare(side, runs(), with_both(0.7, 0.4), "macro F1:-1pp")
    verdict = by_label(result)["macro F1, inductive"]
    assert (verdict.kind, verdict.detail) == ("missing", "not reported by BASE")
    assert result.exit_code == ExitCode.NOTHING
    assert by_label(result)["accuracy, inductive"].kind == "same"


def test_runs_selected_by_different_metrics_are_not_comparable(side, runs, with_both):
    def f1_first(record):
        metrics = dict(sorted(record.test.metrics.items(), key=lambda item: item[0] != "macro F1"))
        return record.model_copy(update={"test": record.test.model_copy(update={"metrics": metrics})})

    result = compare(side, with_both(0.8, 0.5), [f1_first(record) for record in with_both(0.8, 0.5)])
    assert {by_label(result)[label].kind for label in ("accuracy, inductive", "macro F1, inductive")} == {
        "not comparable"
    }


def test_a_record_of_version_1_is_compared_with_one_of_today(request):
    data = request.path.parents[2] / "record" / "data"
    old, new = (LoadedRecords([read_record(data / f"schema-{version}-finished.json")], [], []) for version in (1, 2))
    verdicts = by_label(compare_records(old, new))
    assert verdicts["accuracy, inductive"].kind not in ("missing", "not comparable")
    assert verdicts["accuracy, inductive"].base is not None and verdicts["accuracy, inductive"].head is not None

"""The six kinds of verdict, and their effect on the gate."""

import numpy as np
import pytest
from scipy import stats

from mamlbench.errors import ConfigError, ExitCode
from mamlbench.report import LoadedRecords
from mamlbench.report.gate import compare_records, parse_thresholds
from mamlbench.report.gate.render import legend

GATE = ("accuracy:-2pp", "device_seconds:+10%", "peak_memory:+5%")


def kinds(result, configuration=""):
    """By mode of the first metric, or by the name of a time or memory."""
    verdicts = [verdict for verdict in result.verdicts if configuration in verdict.configuration]
    return {verdict.mode or verdict.metric: verdict.kind for verdict in reversed(verdicts)}


def verdict_on(result, metric="transductive"):
    (verdict,) = [verdict for verdict in result.verdicts if metric in (verdict.mode, verdict.metric, verdict.label)]
    return verdict


def compare(base, head, fail=GATE):
    return compare_records(base, head, parse_thresholds(fail))


def test_new_seeds_of_the_same_code_pass(runs, side):
    result = compare(side(runs(seeds=range(5))), side(runs(seeds=range(5, 10), draw=1)))
    assert set(kinds(result).values()) == {"same"}
    assert result.exit_code == ExitCode.OK and result.reasons == []
    assert verdict_on(result).claim == "algorithms" and verdict_on(result, "device_seconds").claim == "runs"


def test_the_same_runs_again_are_the_same(runs, side):
    result = compare(side(runs(spread=0.1)), side(runs(spread=0.1)))
    assert kinds(result)["transductive"] == "same" and "equal in every episode" in verdict_on(result).detail
    assert result.exit_code == ExitCode.OK


def test_a_lower_accuracy_is_worse(runs, side):
    result = compare(side(runs()), side(runs(skill=0.7, draw=1)))
    assert kinds(result) == {
        "transductive": "worse",
        "inductive": "worse",
        "device_seconds": "same",
        "peak_memory": "same",
    }
    assert (
        result.exit_code == ExitCode.REGRESSION
        and "maml, omniglot 5-way 1-shot, quick: accuracy, transductive is worse" in (result.reasons)
    )
    verdict = verdict_on(result)
    assert (
        verdict.change == pytest.approx(verdict.head - verdict.base)
        and verdict.low < verdict.change < verdict.high < -0.02
    )


@pytest.mark.parametrize("regression", [False, True])
def test_effect_size_and_detectable_change_are_those_of_head_minus_base(runs, side, regression):
    sides = [runs(seeds=[0], skill=skill, draw=draw, regression=regression) for draw, skill in enumerate((0.8, 0.75))]
    base, head = (np.array(side[0].test.modes["transductive"].episode_scores) for side in sides)
    verdict = verdict_on(compare(*map(side, sides), ()))
    change, error, df = head - base, stats.sem(head - base), len(head) - 1
    assert verdict.claim == "checkpoints"
    assert verdict.effect_size == pytest.approx(change.mean() / change.std(ddof=1))
    detectable = error * (stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df))
    assert verdict.minimum_detectable_effect == pytest.approx(detectable if regression else -detectable), (
        "a change for the worse"
    )


def test_the_detectable_change_of_a_time_is_relative(runs, side):
    base, head = runs(seconds=[100, 102, 98]), runs(seconds=[100, 101, 99], draw=1)
    verdict = verdict_on(compare(side(base), side(head)), "device_seconds")
    assert 0.01 < verdict.minimum_detectable_effect < 0.1 and abs(verdict.effect_size) < 0.1


def test_a_higher_accuracy_is_better_and_passes(runs, side):
    result = compare(side(runs()), side(runs(skill=0.9, draw=1)))
    assert kinds(result)["transductive"] == "better" and result.exit_code == ExitCode.OK


def test_the_signs_are_reversed_if_lower_is_better(runs, side):
    result = compare(
        side(runs(skill=0.3, regression=True)), side(runs(skill=0.5, regression=True, draw=1)), ("score:+5%",)
    )
    assert kinds(result)["transductive"] == "worse" and result.exit_code == ExitCode.REGRESSION
    with pytest.raises(ConfigError, match="Reverse the sign"):
        compare(side(runs(regression=True)), side(runs(regression=True)), ("score:-5%",))
    with pytest.raises(ConfigError, match="not a percentage"):
        compare(side(runs(regression=True)), side(runs(regression=True, draw=1)), ("score:1pp",))


def test_more_than_chance_but_less_than_the_threshold_is_not_worse(runs, side):
    result = compare(side(runs(seeds=range(8))), side(runs(skill=0.77, seeds=range(8), draw=1)), ("accuracy:-8pp",))
    verdict = verdict_on(result)
    assert verdict.p_value < 0.05 and verdict.change < 0 and verdict.kind == "same" and verdict.passes


def test_more_than_the_threshold_but_within_chance_is_inconclusive(runs, side):
    result = compare(side(runs(spread=0.15)), side(runs(spread=0.15, skill=0.75, draw=3)), ("accuracy:-1pp",))
    verdict = verdict_on(result)
    assert verdict.kind == "inconclusive" and "seeds on each side, 13 more; " in verdict.detail
    assert result.exit_code == ExitCode.NOTHING and any("is inconclusive" in reason for reason in result.reasons)


def test_the_suggested_number_of_seeds_decides(runs, side):
    def at(seeds):
        head = runs(spread=0.02, seeds=seeds, skill=0.74, draw=3)
        return compare(side(runs(spread=0.02, seeds=seeds)), side(head), ("accuracy:-3pp",))

    verdict = verdict_on(at(range(3)))
    assert verdict.kind == "inconclusive" and verdict.detail.startswith("needs about 4 seeds on each side, 1 more; ")
    more = 1
    assert 1 <= more < 10
    # twice as many, because the number is an estimate and the difference changes as well
    assert verdict_on(at(range(3 + 2 * more))).kind == "worse"


def test_not_worse_but_perhaps_better_passes(runs, side):
    result = compare(side(runs(spread=0.02)), side(runs(spread=0.02, skill=0.82, draw=3)), ("accuracy:-3pp",))
    verdict = verdict_on(result)
    assert (verdict.kind, verdict.passes, result.exit_code) == ("inconclusive", True, ExitCode.OK)
    assert "not worse by more than the margin" in verdict.detail


def test_one_seed_makes_a_claim_about_the_checkpoint(runs, side):
    result = compare(side(runs(seeds=[0])), side(runs(seeds=[0], skill=0.6, draw=1)), ("accuracy:-2pp",))
    assert verdict_on(result).kind == "worse" and verdict_on(result).claim == "checkpoints"


def test_a_single_different_seed_says_nothing_about_the_code(runs, side):
    result = compare(side(runs(seeds=[0])), side(runs(seeds=[1], skill=0.6)), ("accuracy:-2pp",))
    verdict = verdict_on(result)
    assert verdict.kind == "inconclusive" and "needs 4 more" in verdict.detail
    assert result.exit_code == ExitCode.NOTHING


def test_one_new_seed_against_five_is_enough(runs, side):
    result = compare(side(runs(seeds=range(5))), side(runs(seeds=[7], skill=0.6, draw=1)), ("accuracy:-2pp",))
    assert verdict_on(result).kind == "worse" and verdict_on(result).claim == "algorithms"


@pytest.mark.parametrize(
    ("seconds", "kind", "code"),
    [
        ([130, 131, 129], "worse", ExitCode.REGRESSION),
        ([100, 101, 99], "same", ExitCode.OK),
        ([60, 61, 62], "better", ExitCode.OK),
        ([80, 180, 120], "inconclusive", ExitCode.NOTHING),
    ],
)
def test_times_are_judged_run_by_run(runs, side, seconds, kind, code):
    base, head = side(runs(seconds=[100, 102, 99])), side(runs(seconds=seconds))
    result = compare(base, head, ("device_seconds:+10%",))
    assert (kinds(result)["device_seconds"], result.exit_code) == (kind, code)
    absolute = compare(base, head, ("device_seconds:+10s",))
    assert kinds(absolute)["device_seconds"] == kind


def test_a_lower_rate_is_worse(runs, side):
    def at(rate, records):
        return [
            run.model_copy(
                update={"measurement": run.measurement.model_copy(update={"iterations_per_second": rate * factor})}
            )
            for run, factor in zip(records, (1, 1.01, 0.99), strict=True)
        ]

    base, head = side(at(10, runs())), side(at(7, runs()))
    result = compare(base, head, ("iterations_per_second:-10%", "milliseconds:+10%"))
    assert kinds(result)["iterations_per_second"] == kinds(result)["milliseconds"] == "worse"
    assert verdict_on(result, "iterations_per_second").change == pytest.approx(-0.3)
    assert verdict_on(result, "milliseconds").change == pytest.approx(10 / 7 - 1)


def test_one_run_is_not_enough_for_times(runs, side):
    result = compare(side(runs(seeds=[0])), side(runs(seeds=[0], seconds=[500])), ("device_seconds:+10%",))
    verdict = verdict_on(result, "device_seconds")
    assert verdict.kind == "inconclusive" and "2 more of BASE and 2 more of HEAD" in verdict.detail
    assert result.exit_code == ExitCode.NOTHING


def test_repeats_of_one_seed_count_as_runs(runs, side):
    base = [run for _ in range(3) for run in runs(seeds=[0])]
    head = [run for seconds in (150, 151, 149) for run in runs(seeds=[0], seconds=[seconds])]
    result = compare(side(base), side(head), ("device_seconds:+10%",))
    assert kinds(result)["device_seconds"] == "worse" and kinds(result)["transductive"] == "same"


def test_times_and_memory_of_another_machine_are_not_comparable_but_scores_are(runs, side):
    result = compare(side(runs()), side(runs(environment={"threads": 8})))
    assert kinds(result) == {
        "transductive": "same",
        "inductive": "same",
        "device_seconds": "not comparable",
        "peak_memory": "not comparable",
    }
    assert verdict_on(result, "device_seconds").detail == "different threads"
    assert result.exit_code == ExitCode.NOTHING


def test_different_versions_of_mamlbench_are_compared(runs, side):
    versions = [{"packages": {"torch": "2.14.1", "mamlbench": version}, "code_hash": version} for version in "12"]
    base, head = (side(runs(environment=version)) for version in versions)
    assert kinds(compare(base, head))["device_seconds"] == "same"


def test_times_in_another_precision_are_not_comparable_but_scores_are(runs, side):
    result = compare(side(runs()), side(runs(precision="bf16")))
    assert kinds(result) == {
        "transductive": "same",
        "inductive": "same",
        "device_seconds": "not comparable",
        "peak_memory": "not comparable",
    }
    assert verdict_on(result, "device_seconds").detail == "different precision"
    assert verdict_on(result, "transductive").changed == ["precision: float32 → bf16"]


def test_different_data_is_not_comparable(runs, side):
    result = compare(side(runs()), side(runs(split_hash="other")), ("accuracy:-2pp",))
    assert kinds(result)["transductive"] == "not comparable"
    assert verdict_on(result).detail == "different test split" and result.exit_code == ExitCode.NOTHING


def test_a_configuration_missing_from_head_fails_the_gate_and_a_new_one_does_not(runs, side):
    both = [*runs("maml"), *runs("reptile", skill=0.7)]
    result = compare(side(both), side(runs("maml")))
    assert set(kinds(result, "reptile").values()) == {"missing"} and result.exit_code == ExitCode.NOTHING
    result = compare(side(runs("maml")), side(both))
    assert set(kinds(result, "reptile").values()) == {"missing"} and result.exit_code == ExitCode.OK
    assert all("new" in verdict.detail for verdict in result.verdicts if "reptile" in verdict.configuration)


def test_a_run_of_head_that_failed_is_missing_with_its_reason(runs, side, make_record):
    failed = make_record("maml", seed=2, status="diverged", reason="The loss is nan.", queries=15, test_episodes=200)
    result = compare(side(runs()), side(runs(seeds=range(2)), [failed]))
    assert verdict_on(result).kind == "missing" and "diverged with seed 2 (2 finished): The loss is nan." in (
        verdict_on(result).detail
    )
    assert result.exit_code == ExitCode.NOTHING
    result = compare(side(runs()), side([failed]))
    assert result.exit_code == ExitCode.NOTHING and set(kinds(result).values()) == {"missing"}


def test_changed_settings_are_listed(runs, side):
    result = compare(side(runs(options={"inner_lr": 0.4})), side(runs(options={"inner_lr": 0.04}, skill=0.6)))
    assert verdict_on(result).kind == "worse" and verdict_on(result).changed == ["inner_lr: 0.4 → 0.04"]


def test_configurations_of_one_name_are_labeled(runs, side):
    def grid(draw):
        return [run for rate in (0.1, 0.4) for run in runs(options={"inner_lr": rate}, skill=0.6 + rate / 2, draw=draw)]

    result = compare(side(grid(0)), side(grid(1)))
    assert {verdict.configuration.rpartition(" (")[2] for verdict in result.verdicts} == {
        "inner_lr=0.1)",
        "inner_lr=0.4)",
    }
    assert not any(verdict.kind == "missing" for verdict in result.verdicts)


def test_a_label_names_only_options_that_the_configuration_has(runs, side):
    def configurations(draw):
        return [
            run
            for options in ({"inner_lr": 0.4}, {"inner_lr": 0.4, "adapt_in": 1})
            for run in runs(options=options, draw=draw)
        ]

    result = compare(side(configurations(0)), side(configurations(1)))
    assert {verdict.configuration for verdict in result.verdicts} == {
        "maml, omniglot 5-way 1-shot, quick",
        "maml, omniglot 5-way 1-shot, quick (adapt_in=1)",
    }


def test_records_of_older_code_are_ignored(runs, side):
    old = runs(skill=0.3, environment={"code_hash": "old"}, seeds=range(5))
    new = [run.model_copy(update={"started": "2026-02-01"}) for run in runs(environment={"code_hash": "new"}, draw=1)]
    result = compare(side(runs(seeds=range(5))), side(old, new))
    assert kinds(result)["transductive"] == "same" and "5 older record(s) of HEAD" in result.notes[0]


def test_a_file_that_could_not_be_read_fails_the_gate(runs, side):
    good = side(runs())
    broken = side(runs(), problems=["'x.json' is not a run record."])
    assert compare(good, broken).exit_code == ExitCode.NOTHING
    assert compare(broken, good).exit_code == ExitCode.NOTHING
    assert compare(good, broken, fail=()).exit_code == ExitCode.OK, "without thresholds nothing depends on it"


def test_a_threshold_that_applies_to_nothing_fails_the_gate(runs, side):
    records = side(runs(regression=True))
    with pytest.raises(ConfigError, match="no record reports the metric 'accuracy'"):
        compare(records, records, ("accuracy:-1pp",))
    result = compare(side(runs()), side(runs()), ("support+query:-1pp",))
    assert result.exit_code == ExitCode.NOTHING and "applies to no comparison" in result.reasons[0]


def test_nothing_to_compare_fails_the_gate(runs, side):
    empty = LoadedRecords([], [], [])
    for sides in ((empty, empty), (empty, side(runs())), (side(runs()), empty)):
        result = compare_records(*sides)
        assert result.exit_code == ExitCode.NOTHING and "nothing that can be compared" in result.reasons[0]


def test_worse_without_a_threshold_does_not_fail_the_gate(runs, side):
    result = compare(side(runs()), side(runs(skill=0.6, draw=1)), fail=())
    assert kinds(result)["transductive"] == "worse" and result.exit_code == ExitCode.OK


@pytest.mark.parametrize("harm", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_time_that_is_not_positive_is_missing(runs, side, harm):
    result = compare(side(runs()), side(runs(seconds=[100, harm, 101])), ("device_seconds:+10%",))
    assert kinds(result)["device_seconds"] == "missing" and result.exit_code == ExitCode.NOTHING


def test_nan_scores_are_missing(runs, side, with_modes):
    scores = [*np.full(199, 0.8), float("nan")]
    head = [
        with_modes(run, {"transductive": run.test.modes["transductive"].model_copy(update={"episode_scores": scores})})
        for run in runs()
    ]
    result = compare(side(runs()), side(head), ("accuracy:-1pp",))
    assert kinds(result)["transductive"] == "missing" and result.exit_code == ExitCode.NOTHING


@pytest.mark.parametrize("counts", [(3, 3), (1, 5)])
def test_rates_of_false_and_true_positives_in_a_thousand_resamplings(runs, side, counts):
    """Resampled trainings: the gate rarely fails without a change and nearly always with one."""
    pool = runs(seeds=range(30), spread=0.01)
    planted = runs(seeds=range(30), spread=0.01, skill=0.68, draw=5)
    generator = np.random.default_rng(1)
    thresholds = parse_thresholds(["accuracy:-1pp"])

    def exit_code(source):
        base = generator.choice(30, counts[1], replace=False)
        head = generator.choice([index for index in range(30) if index not in base], counts[0], replace=False)
        sides = side([pool[index] for index in base]), side([source[index] for index in head])
        return compare_records(*sides, thresholds).exit_code

    false_positives = [exit_code(pool) == ExitCode.REGRESSION for _ in range(1000)]
    true_positives = [exit_code(planted) == ExitCode.REGRESSION for _ in range(1000)]
    assert np.mean(false_positives) <= 0.05 and np.mean(true_positives) >= 0.99


def test_a_verdict_says_for_which_classes_it_holds(side, runs, with_classes):
    base, head = ([with_classes(run) for run in runs(draw=draw)] for draw in (0, 1))
    result = compare_records(side(base), side(head))
    assert {verdict.population for verdict in result.verdicts if verdict.mode} == {"these classes"}
    assert {verdict.population for verdict in result.verdicts if not verdict.mode} == {None}
    assert any("hold for these test classes" in line for line in legend(result))
    wider = compare_records(side(base), side(head), population="new classes")
    assert any("hold for new classes" in line for line in legend(wider))
    pairs = [
        (these, new) for these, new in zip(result.verdicts, wider.verdicts, strict=True) if these.change is not None
    ]
    scores = [(these, new) for these, new in pairs if these.mode]
    assert scores and all(new.change == these.change for these, new in pairs)
    assert any(new.high - new.low > these.high - these.low for these, new in scores)


def test_without_recorded_classes_there_is_no_verdict_on_new_ones(side, runs):
    result = compare_records(
        side(runs()), side(runs(skill=0.5, draw=1)), parse_thresholds(["accuracy:-1pp"]), "new classes"
    )
    scores = [verdict for verdict in result.verdicts if verdict.mode]
    assert {verdict.kind for verdict in scores} == {"inconclusive"}
    assert all("do not say which classes" in verdict.detail for verdict in scores)
    assert result.exit_code == ExitCode.NOTHING

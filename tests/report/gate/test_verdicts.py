"""The six verdicts, each where it belongs, and what each does to the gate."""

import numpy as np
import pytest
from scipy import stats

from mamlbench.errors import ConfigError, ExitCode
from mamlbench.report import Reading
from mamlbench.report.gate import compare_records, parse_thresholds

GATE = ("accuracy:-2pp", "device_seconds:+10%", "peak_memory:+5%")


def words(outcome, cell=""):
    return {verdict.metric: verdict.word for verdict in outcome.verdicts if cell in verdict.cell}


def verdict(outcome, metric="transductive"):
    (found,) = [each for each in outcome.verdicts if each.metric == metric]
    return found


def compare(base, head, fail=GATE):
    return compare_records(base, head, parse_thresholds(fail))


def test_new_seeds_of_the_same_code_pass(runs, reading):
    outcome = compare(reading(runs(seeds=range(5))), reading(runs(seeds=range(5, 10), draw=1)))
    assert set(words(outcome).values()) == {"same"}
    assert outcome.exit_code == ExitCode.OK and outcome.reasons == []
    assert verdict(outcome).claim == "algorithms" and verdict(outcome, "device_seconds").claim == "runs"


def test_the_same_runs_again_are_the_same(runs, reading):
    outcome = compare(reading(runs(spread=0.1)), reading(runs(spread=0.1)))
    assert words(outcome)["transductive"] == "same" and "equal in every episode" in verdict(outcome).detail
    assert outcome.exit_code == ExitCode.OK


def test_a_lower_accuracy_is_worse(runs, reading):
    outcome = compare(reading(runs()), reading(runs(skill=0.7, draw=1)))
    assert words(outcome) == {
        "transductive": "worse",
        "inductive": "worse",
        "device_seconds": "same",
        "peak_memory": "same",
    }
    assert outcome.exit_code == ExitCode.REGRESSION and "maml, omniglot 5-way 1-shot, quick: transductive is worse" in (
        outcome.reasons
    )
    found = verdict(outcome)
    assert found.change == pytest.approx(found.head - found.base) and found.low < found.change < found.high < -0.02


@pytest.mark.parametrize("regression", [False, True])
def test_effect_size_and_detectable_change_are_those_of_head_minus_base(runs, reading, regression):
    sides = [runs(seeds=[0], skill=skill, draw=draw, regression=regression) for draw, skill in enumerate((0.8, 0.75))]
    base, head = (np.array(side[0].test.modes["transductive"].episode_scores) for side in sides)
    found = verdict(compare(*map(reading, sides), ()))
    change, error, freedom = head - base, stats.sem(head - base), len(head) - 1
    assert found.claim == "checkpoints"
    assert found.effect_size == pytest.approx(change.mean() / change.std(ddof=1))
    detectable = error * (stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom))
    assert found.detectable == pytest.approx(detectable if regression else -detectable), "a change for the worse"


def test_the_detectable_change_of_a_time_is_relative(runs, reading):
    base, head = runs(seconds=[100, 102, 98]), runs(seconds=[100, 101, 99], draw=1)
    found = verdict(compare(reading(base), reading(head)), "device_seconds")
    assert 0.01 < found.detectable < 0.1 and abs(found.effect_size) < 0.1


def test_a_higher_accuracy_is_better_and_passes(runs, reading):
    outcome = compare(reading(runs()), reading(runs(skill=0.9, draw=1)))
    assert words(outcome)["transductive"] == "better" and outcome.exit_code == ExitCode.OK


def test_where_lower_is_better_the_signs_turn(runs, reading):
    outcome = compare(
        reading(runs(skill=0.3, regression=True)), reading(runs(skill=0.5, regression=True, draw=1)), ("score:+5%",)
    )
    assert words(outcome)["transductive"] == "worse" and outcome.exit_code == ExitCode.REGRESSION
    with pytest.raises(ConfigError, match="turn the threshold's sign"):
        compare(reading(runs(regression=True)), reading(runs(regression=True)), ("score:-5%",))
    with pytest.raises(ConfigError, match="no percentage"):
        compare(reading(runs(regression=True)), reading(runs(regression=True, draw=1)), ("score:1pp",))


def test_more_than_chance_but_less_than_the_threshold_is_not_worse(runs, reading):
    outcome = compare(
        reading(runs(seeds=range(8))), reading(runs(skill=0.77, seeds=range(8), draw=1)), ("accuracy:-8pp",)
    )
    found = verdict(outcome)
    assert found.p_value < 0.05 and found.change < 0 and found.word == "same" and found.passes


def test_more_than_the_threshold_but_within_chance_is_inconclusive(runs, reading):
    outcome = compare(reading(runs(spread=0.15)), reading(runs(spread=0.15, skill=0.75, draw=3)), ("accuracy:-1pp",))
    found = verdict(outcome)
    assert found.word == "inconclusive" and "more seeds on either side would decide" in found.detail
    assert outcome.exit_code == ExitCode.NOTHING and any("is inconclusive" in reason for reason in outcome.reasons)


def test_the_remedy_decides(runs, reading):
    def at(seeds):
        head = runs(spread=0.02, seeds=seeds, skill=0.74, draw=3)
        return compare(reading(runs(spread=0.02, seeds=seeds)), reading(head), ("accuracy:-3pp",))

    found = verdict(at(range(3)))
    assert found.word == "inconclusive" and found.detail.endswith("more seeds on either side would decide")
    more = int(found.detail.split()[1])
    assert 1 <= more < 10
    # an estimate: the difference moves as well, so that twice as many are taken
    assert verdict(at(range(3 + 2 * more))).word == "worse"


def test_not_worse_but_perhaps_better_passes(runs, reading):
    outcome = compare(reading(runs(spread=0.02)), reading(runs(spread=0.02, skill=0.82, draw=3)), ("accuracy:-3pp",))
    found = verdict(outcome)
    assert (found.word, found.passes, outcome.exit_code) == ("inconclusive", True, ExitCode.OK)
    assert "not worse by more than the margin" in found.detail


def test_one_seed_speaks_of_the_checkpoint(runs, reading):
    outcome = compare(reading(runs(seeds=[0])), reading(runs(seeds=[0], skill=0.6, draw=1)), ("accuracy:-2pp",))
    assert verdict(outcome).word == "worse" and verdict(outcome).claim == "checkpoints"


def test_one_other_seed_says_nothing_of_the_code(runs, reading):
    outcome = compare(reading(runs(seeds=[0])), reading(runs(seeds=[1], skill=0.6)), ("accuracy:-2pp",))
    found = verdict(outcome)
    assert found.word == "inconclusive" and "4 more would tell" in found.detail
    assert outcome.exit_code == ExitCode.NOTHING


def test_one_new_seed_against_five_is_enough(runs, reading):
    outcome = compare(reading(runs(seeds=range(5))), reading(runs(seeds=[7], skill=0.6, draw=1)), ("accuracy:-2pp",))
    assert verdict(outcome).word == "worse" and verdict(outcome).claim == "algorithms"


@pytest.mark.parametrize(
    ("seconds", "word", "code"),
    [
        ([130, 131, 129], "worse", ExitCode.REGRESSION),
        ([100, 101, 99], "same", ExitCode.OK),
        ([60, 61, 62], "better", ExitCode.OK),
        ([80, 180, 120], "inconclusive", ExitCode.NOTHING),
    ],
)
def test_times_are_judged_run_by_run(runs, reading, seconds, word, code):
    base, head = reading(runs(seconds=[100, 102, 99])), reading(runs(seconds=seconds))
    outcome = compare(base, head, ("device_seconds:+10%",))
    assert (words(outcome)["device_seconds"], outcome.exit_code) == (word, code)
    absolute = compare(base, head, ("device_seconds:+10s",))
    assert words(absolute)["device_seconds"] == word


def test_a_rate_is_worse_where_it_is_lower(runs, reading):
    def at(rate, records):
        return [
            each.model_copy(
                update={"measurement": each.measurement.model_copy(update={"iterations_per_second": rate * factor})}
            )
            for each, factor in zip(records, (1, 1.01, 0.99), strict=True)
        ]

    base, head = reading(at(10, runs())), reading(at(7, runs()))
    outcome = compare(base, head, ("iterations_per_second:-10%", "milliseconds:+10%"))
    assert words(outcome)["iterations_per_second"] == words(outcome)["milliseconds"] == "worse"
    assert verdict(outcome, "iterations_per_second").change == pytest.approx(-0.3)
    assert verdict(outcome, "milliseconds").change == pytest.approx(10 / 7 - 1)


def test_one_run_says_nothing_about_time(runs, reading):
    outcome = compare(reading(runs(seeds=[0])), reading(runs(seeds=[0], seconds=[500])), ("device_seconds:+10%",))
    found = verdict(outcome, "device_seconds")
    assert found.word == "inconclusive" and "2 more of BASE and 2 more of HEAD" in found.detail
    assert outcome.exit_code == ExitCode.NOTHING


def test_repeats_of_one_seed_are_runs(runs, reading):
    base = [run for _ in range(3) for run in runs(seeds=[0])]
    head = [run for seconds in (150, 151, 149) for run in runs(seeds=[0], seconds=[seconds])]
    outcome = compare(reading(base), reading(head), ("device_seconds:+10%",))
    assert words(outcome)["device_seconds"] == "worse" and words(outcome)["transductive"] == "same"


def test_another_machine_makes_times_and_memory_not_comparable_and_scores_stay(runs, reading):
    outcome = compare(reading(runs()), reading(runs(environment={"threads": 8})))
    assert words(outcome) == {
        "transductive": "same",
        "inductive": "same",
        "device_seconds": "not comparable",
        "peak_memory": "not comparable",
    }
    assert verdict(outcome, "device_seconds").detail == "other threads"
    assert outcome.exit_code == ExitCode.NOTHING


def test_another_version_of_mamlbench_is_what_a_gate_compares(runs, reading):
    versions = [{"packages": {"torch": "2.14.1", "mamlbench": version}, "code_hash": version} for version in "12"]
    base, head = (reading(runs(environment=each)) for each in versions)
    assert words(compare(base, head))["device_seconds"] == "same"


def test_other_data_is_not_comparable(runs, reading):
    outcome = compare(reading(runs()), reading(runs(split_hash="other")), ("accuracy:-2pp",))
    assert words(outcome)["transductive"] == "not comparable"
    assert verdict(outcome).detail == "other test split" and outcome.exit_code == ExitCode.NOTHING


def test_a_cell_that_head_lacks_keeps_the_gate_shut_and_a_new_one_does_not(runs, reading):
    both = [*runs("maml"), *runs("reptile", skill=0.7)]
    outcome = compare(reading(both), reading(runs("maml")))
    assert set(words(outcome, "reptile").values()) == {"missing"} and outcome.exit_code == ExitCode.NOTHING
    outcome = compare(reading(runs("maml")), reading(both))
    assert set(words(outcome, "reptile").values()) == {"missing"} and outcome.exit_code == ExitCode.OK
    assert all("new" in each.detail for each in outcome.verdicts if "reptile" in each.cell)


def test_a_run_of_head_that_failed_is_missing_with_its_reason(runs, reading, make_record):
    failed = make_record("maml", seed=2, status="diverged", reason="The loss is nan.", queries=15, test_episodes=200)
    outcome = compare(reading(runs()), reading(runs(seeds=range(2)), [failed]))
    assert verdict(outcome).word == "missing" and "diverged with seed 2 (2 finished): The loss is nan." in (
        verdict(outcome).detail
    )
    assert outcome.exit_code == ExitCode.NOTHING
    outcome = compare(reading(runs()), reading([failed]))
    assert outcome.exit_code == ExitCode.NOTHING and set(words(outcome).values()) == {"missing"}


def test_settings_may_differ_and_are_said(runs, reading):
    outcome = compare(reading(runs(options={"inner_lr": 0.4})), reading(runs(options={"inner_lr": 0.04}, skill=0.6)))
    assert verdict(outcome).word == "worse" and verdict(outcome).changed == ["inner_lr: 0.4 → 0.04"]


def test_cells_of_one_name_are_told_apart(runs, reading):
    def grid(draw):
        return [run for rate in (0.1, 0.4) for run in runs(options={"inner_lr": rate}, skill=0.6 + rate / 2, draw=draw)]

    outcome = compare(reading(grid(0)), reading(grid(1)))
    assert {each.cell.rpartition(" (")[2] for each in outcome.verdicts} == {"inner_lr=0.1)", "inner_lr=0.4)"}
    assert not any(each.word == "missing" for each in outcome.verdicts)


def test_an_option_that_a_cell_does_not_have_is_not_named_there(runs, reading):
    def cells(draw):
        return [
            run
            for options in ({"inner_lr": 0.4}, {"inner_lr": 0.4, "adapt_in": 1})
            for run in runs(options=options, draw=draw)
        ]

    outcome = compare(reading(cells(0)), reading(cells(1)))
    assert {each.cell for each in outcome.verdicts} == {
        "maml, omniglot 5-way 1-shot, quick",
        "maml, omniglot 5-way 1-shot, quick (adapt_in=1)",
    }


def test_records_of_older_code_are_left_out(runs, reading):
    old = runs(skill=0.3, environment={"code_hash": "old"}, seeds=range(5))
    new = [run.model_copy(update={"started": "2026-02-01"}) for run in runs(environment={"code_hash": "new"}, draw=1)]
    outcome = compare(reading(runs(seeds=range(5))), reading(old, new))
    assert words(outcome)["transductive"] == "same" and "5 older record(s) of HEAD" in outcome.notes[0]


def test_a_file_that_could_not_be_read_keeps_the_gate_shut(runs, reading):
    good = reading(runs())
    broken = reading(runs(), problems=["'x.json' is not a run record."])
    assert compare(good, broken).exit_code == ExitCode.NOTHING
    assert compare(broken, good).exit_code == ExitCode.NOTHING
    assert compare(good, broken, fail=()).exit_code == ExitCode.OK, "without thresholds nothing depends on it"


def test_a_threshold_that_meets_nothing_keeps_the_gate_shut(runs, reading):
    side = reading(runs(regression=True))
    outcome = compare(side, side, ("accuracy:-1pp",))
    assert outcome.exit_code == ExitCode.NOTHING and "met no cell" in outcome.reasons[0]
    outcome = compare(reading(runs()), reading(runs()), ("support+query:-1pp",))
    assert outcome.exit_code == ExitCode.NOTHING and "met no cell" in outcome.reasons[0]


def test_nothing_against_nothing_is_not_ok(runs, reading):
    empty = Reading([], [], [])
    for sides in ((empty, empty), (empty, reading(runs())), (reading(runs()), empty)):
        outcome = compare_records(*sides)
        assert outcome.exit_code == ExitCode.NOTHING and "Nothing of BASE and HEAD" in outcome.reasons[0]


def test_without_thresholds_worse_is_said_and_fails_nothing(runs, reading):
    outcome = compare(reading(runs()), reading(runs(skill=0.6, draw=1)), fail=())
    assert words(outcome)["transductive"] == "worse" and outcome.exit_code == ExitCode.OK


@pytest.mark.parametrize("harm", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_time_that_is_none_is_missing(runs, reading, harm):
    outcome = compare(reading(runs()), reading(runs(seconds=[100, harm, 101])), ("device_seconds:+10%",))
    assert words(outcome)["device_seconds"] == "missing" and outcome.exit_code == ExitCode.NOTHING


def test_scores_that_are_no_numbers_are_missing(runs, reading):
    scores = [*np.full(199, 0.8), float("nan")]
    head = [
        run.model_copy(
            update={
                "test": run.test.model_copy(
                    update={
                        "modes": {
                            "transductive": run.test.modes["transductive"].model_copy(update={"episode_scores": scores})
                        }
                    }
                )
            }
        )
        for run in runs()
    ]
    outcome = compare(reading(runs()), reading(head), ("accuracy:-1pp",))
    assert words(outcome)["transductive"] == "missing" and outcome.exit_code == ExitCode.NOTHING


@pytest.mark.parametrize("counts", [(3, 3), (1, 5)])
def test_alarms_and_catches_in_a_thousand_resamplings(runs, counts):
    """Recorded trainings drawn again and again: hardly ever an alarm without a change, nearly always with one."""
    pool = runs(seeds=range(30), spread=0.01)
    planted = runs(seeds=range(30), spread=0.01, skill=0.68, draw=5)
    generator = np.random.default_rng(1)
    thresholds = parse_thresholds(["accuracy:-1pp"])

    def outcome(source):
        base = generator.choice(30, counts[1], replace=False)
        head = generator.choice([each for each in range(30) if each not in base], counts[0], replace=False)
        sides = Reading([pool[each] for each in base], [], []), Reading([source[each] for each in head], [], [])
        return compare_records(*sides, thresholds).exit_code

    alarms = [outcome(pool) == ExitCode.REGRESSION for _ in range(1000)]
    caught = [outcome(planted) == ExitCode.REGRESSION for _ in range(1000)]
    assert np.mean(alarms) <= 0.05 and np.mean(caught) >= 0.99

"""Verdicts: the number beside ours, and why they may not be compared."""

import numpy as np
import pytest

from mamlbench.record import PublishedNumber, SeenTestData
from mamlbench.record.reproduction import PlannedReproduction, Reading, Reproduction
from mamlbench.report.reproduction.tiers import with_tiers
from mamlbench.report.reproduction.verdict import judge_reproduction
from mamlbench.student_t import confidence_interval

NUMBER = {
    "id": "finn2017/omniglot-5w1s-maml",
    "algorithm": "maml",
    "dataset": "omniglot",
    "ways": 5,
    "shots": 1,
    "queries": 1,
    "test_episodes": 600,
    "steps": 3,
    "mode": "transductive",
    "score": 98.7,
    "interval": 0.4,
    "source": "the paper",
}
VARIANT = Reading(name="wrong", about="a mistake", mistake="selects on the test split")


@pytest.fixture
def planned(make_record):
    """A planned reproduction of the records of ``make_record``: ``planned(margin=1.0, number={...}, **fields)``."""

    def make(number=None, variant=None, scale=1.0, **fields):
        settings = {"name": "finn2017/omniglot-5w1s", "number": NUMBER["id"], "margin": 1.0, **fields}
        full = make_record().spec
        return PlannedReproduction(
            Reproduction(**settings),
            PublishedNumber(**{**NUMBER, **(number or {})}),
            variant,
            full,
            (full,),
            scale,
            "transductive",
        )

    return make


def scored(make_record, mean, *, spread=0.02, seed=0, **settings):
    """A record whose 600 episodes have this mean, and the interval of their spread; shares, as records have them."""
    episodes = [mean - spread, mean + spread] * 300
    record = make_record(seed=seed, episodes=episodes, **settings)
    test = record.test
    interval = confidence_interval(mean, np.array(episodes))
    modes = {mode: result.model_copy(update={"score": interval}) for mode, result in test.modes.items()}
    metric = test.metrics[test.metric].model_copy(update={"modes": modes})
    return record.model_copy(update={"test": test.model_copy(update={"metrics": {test.metric: metric}})})


@pytest.mark.parametrize(
    ("score", "kind"), [(0.986, "reproduced"), (0.97, "below"), (0.9999, "above"), (0.9905, "reproduced")]
)
def test_the_score_decides(planned, make_record, score, kind):
    verdict = judge_reproduction(planned(), [scored(make_record, score)])
    assert verdict.kind == kind and verdict.ours == pytest.approx(100 * score)
    assert verdict.difference.mean == pytest.approx(100 * score - 98.7)
    assert verdict.over == "episodes" and not verdict.scale_text


def test_too_little_is_known(planned, make_record):
    verdict = judge_reproduction(planned(), [scored(make_record, 0.98, spread=0.2)])
    assert verdict.kind == "inconclusive" and "more seeds or test episodes" in verdict.reasons[0]
    number = {"score": 48.7, "interval": 1.84}
    verdict = judge_reproduction(planned(number), [scored(make_record, 0.487)])
    assert verdict.kind == "inconclusive" and "too wide for a run to decide" in verdict.reasons[0]
    assert judge_reproduction(planned(number, margin=2.0), [scored(make_record, 0.487)]).kind == "reproduced"


def test_three_seeds_give_an_interval_over_seeds(planned, make_record):
    records = [scored(make_record, 0.98 + 0.002 * seed, seed=seed) for seed in range(3)]
    verdict = judge_reproduction(planned(), records)
    assert (verdict.over, verdict.seeds) == ("seeds", 3)
    assert verdict.half_width == pytest.approx(4.302653 * 0.2 / 3**0.5, rel=1e-5)


def test_a_standard_error_replaces_the_interval(planned, make_record):
    record = [scored(make_record, 0.9905)]
    assert judge_reproduction(planned(standard_error=2.0), record).kind == "inconclusive"
    assert judge_reproduction(planned({"interval": None}), record).kind == "reproduced"


@pytest.mark.parametrize(
    ("number", "fields", "reason"),
    [
        ({"queries": 15}, {}, "another protocol: 15 query examples per class in the source, here 1"),
        ({"steps": 5}, {}, "another protocol: 5 adaptation steps in the source, here 3"),
        ({"trained_on": "test classes"}, {}, "the source trained on test classes"),
        ({"dataset": "miniimagenet"}, {}, "the source's data set is miniimagenet, here omniglot"),
        ({}, {"not_comparable": "an ensemble"}, "an ensemble"),
        ({"metric": "macro F1"}, {}, "macro F1 was not tested in the mode transductive"),
    ],
)
def test_what_cannot_be_compared_says_why(planned, make_record, number, fields, reason):
    verdict = judge_reproduction(planned(number, **fields), [scored(make_record, 0.987)])
    assert verdict.kind == "not comparable" and any(reason in text for text in verdict.reasons)


def test_another_number_of_test_episodes_is_fine(planned, make_record):
    assert judge_reproduction(planned({"test_episodes": 32}), [scored(make_record, 0.987)]).kind == "reproduced"


def test_a_part_of_the_data_a_leak_and_a_scale_are_named(planned, make_record):
    record = scored(make_record, 0.987, subset="200 of 600 images per class")
    test = record.test.model_copy(update={"seen": SeenTestData(answer="seen", reasons=["trained on 3 test classes"])})
    record = record.model_copy(update={"test": test})
    training = record.spec.training.model_copy(update={"iterations": 25})
    short = record.model_copy(update={"spec": record.spec.model_copy(update={"training": training})})
    verdict = judge_reproduction(planned(scale=0.05), [short])
    assert verdict.kind == "not comparable" and verdict.difference is not None
    assert verdict.reasons == (
        "run here at a scale of 0.05: 25 of 500 iterations",
        "run here on a part of omniglot: 200 of 600 images per class",
        "leak: trained on 3 test classes",
    )
    assert verdict.scale_text == "25 of 500 iterations (scale 0.05)"


@pytest.mark.parametrize(
    ("classes", "kind"), [(1, "reproduced"), (2, "reproduced"), (3, "not comparable"), (423, "not comparable")]
)
def test_one_equal_drawing_does_not_stand_in_the_way(planned, make_record, classes, kind):
    """With a margin of one point, half a per cent of the classes is a coincidence: 2 of 423, not 3."""
    record = scored(make_record, 0.987)
    seen = SeenTestData(answer="seen", classes=classes, images=classes, reasons=["trained on test classes"])
    data = record.data.model_copy(update={"split_sizes": {"test": 423}})
    record = record.model_copy(update={"test": record.test.model_copy(update={"seen": seen}), "data": data})
    verdict = judge_reproduction(planned(), [record])
    assert verdict.kind == kind and bool(verdict.notes) == (kind == "reproduced")
    assert bool(verdict.reasons) == (kind != "reproduced")


def test_without_a_finished_run_there_is_no_score(planned, make_record):
    verdict = judge_reproduction(planned(), [make_record(status="failed")])
    assert verdict.kind == "not comparable" and verdict.reasons == ("no run has finished",) and verdict.ours is None


def tier(planned_entries, records):
    (number,) = with_tiers([PublishedNumber(**NUMBER)], planned_entries, records)
    return number.tier, number.records


def test_tiers_come_from_records(planned, make_record):
    full = scored(make_record, 0.987, name="full")
    assert tier([planned()], []) == ("quoted", ())
    assert tier([planned()], [full]) == ("reproduced", ("full",))
    assert tier([planned()], [scored(make_record, 0.9, name="low")]) == ("run in full", ("low",))
    assert tier([planned()], [scored(make_record, 0.987, name="short", iterations=20)]) == (
        "run at a scale",
        ("short",),
    )
    assert tier([planned()], [scored(make_record, 0.987, name="third", subset="a third")])[0] == "run at a scale"


def test_other_settings_and_mistakes_have_no_tier(planned, make_record):
    full = scored(make_record, 0.987)
    assert tier([planned(variant=VARIANT)], [full])[0] == "quoted"
    assert tier([planned()], [scored(make_record, 0.987, options={"inner_lr": 0.1})])[0] == "quoted"
    assert tier([planned()], [scored(make_record, 0.987, queries=15)])[0] == "quoted"
    assert tier([planned()], [make_record(status="failed")])[0] == "quoted"


def test_a_repeat_is_no_other_seed(planned, make_record):
    records = [scored(make_record, 0.987, name="first"), scored(make_record, 0.95, name="again")]
    assert tier([planned()], records) == ("run in full", ("first", "again"))

"""What a published number may say."""

import pytest
from pydantic import ValidationError

from mamlbench.record import PublishedNumber
from mamlbench.record.published_number import PublishedNumberGroup

PLAIN = {"id": "finn2017/x", "algorithm": "maml", "dataset": "omniglot", "shots": 1, "score": 98.7, "source": "a paper"}


def test_what_is_not_stated_is_none():
    number = PublishedNumber(**PLAIN)
    assert (number.mode, number.queries, number.interval, number.second_hand) == (None, None, None, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 101},
        {"id": "no slash"},
        {"interval": 0},
        {"mode": "mixed"},
        {"source": ""},
        {"shot": 1},
        {"queries": 0},
        {"tier": "reproduced"},
        {"records": ("omniglot-5w1s-maml",)},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        PublishedNumber(**{**PLAIN, **wrong})


def test_a_number_is_printed_with_the_decimals_of_its_source():
    assert PublishedNumber(**PLAIN).printed == "98.7"
    assert PublishedNumber(**{**PLAIN, "score": 48.7, "interval": 1.84}).printed == "48.70 ± 1.84"


def test_a_reproduced_number_names_its_records():
    number = PublishedNumber(**PLAIN, tier="reproduced", records=("omniglot-5w1s-maml",))
    assert (number.tier, PublishedNumber(**PLAIN).tier) == ("reproduced", "quoted")


def test_an_error_may_be_greater_than_a_hundred():
    assert PublishedNumber(**{**PLAIN, "score": 120.0, "unit": "", "metric": "mean squared error"}).score == 120


def test_results_take_what_they_share_and_may_say_otherwise():
    group = PublishedNumberGroup(results=[{"id": "a"}, {"id": "b", "mode": "inductive"}], mode="transductive", ways=5)
    assert group.entries() == [
        {"mode": "transductive", "ways": 5, "id": "a"},
        {"mode": "inductive", "ways": 5, "id": "b"},
    ]

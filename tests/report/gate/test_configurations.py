"""Matching the configurations of BASE and HEAD."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mamlbench.report.gate.configurations import pair_configurations


def test_the_only_unmatched_configurations_of_both_sides_are_paired(make_record):
    base = [make_record(options={"inner_lr": rate}) for rate in (0.1, 0.2)]
    head = [make_record(options={"inner_lr": rate}) for rate in (0.1, 0.3)]
    pairs = pair_configurations(base, head)
    assert len(pairs) == 2 and all(pair.base and pair.head for pair in pairs)
    assert [pair.changed for pair in pairs] == [[], ["inner_lr: 0.2 → 0.3"]]


def test_two_candidates_are_not_paired(make_record):
    base = [make_record(options={"inner_lr": rate}) for rate in (0.1, 0.2)]
    head = [make_record(options={"inner_lr": 0.3})]
    assert all(pair.base is None or pair.head is None for pair in pair_configurations(base, head))


def test_a_different_number_of_queries_is_a_pair_with_different_conditions(make_record):
    (pair,) = pair_configurations([make_record(queries=1)], [make_record(queries=15)])
    assert pair.base.conditions.differences(pair.head.conditions) == ["queries 1 and 15"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is a function without state
@given(data=st.data())
def test_every_record_is_in_one_configuration(make_record, data):
    cases = st.lists(st.tuples(st.sampled_from(["maml", "reptile"]), st.sampled_from([0.1, 0.2]), st.integers(0, 3)))
    sides = [
        [make_record(name, options={"inner_lr": rate}, seed=seed) for name, rate, seed in data.draw(cases)]
        for _ in range(2)
    ]
    pairs = pair_configurations(*sides)
    for index, records in enumerate(sides):
        configurations = [(pair.base, pair.head)[index] for pair in pairs]
        assert sum(len(configuration.row.runs) for configuration in configurations if configuration) == len(records)
    assert len({pair.name for pair in pairs}) == len(pairs), "names are unique"

"""Which cells belong together, whatever their order and number."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mamlbench.report.gate.cells import pair_cells


def test_what_is_left_over_on_each_side_alone_is_one_cell(make_record):
    base = [make_record(options={"inner_lr": rate}) for rate in (0.1, 0.2)]
    head = [make_record(options={"inner_lr": rate}) for rate in (0.1, 0.3)]
    pairs = pair_cells(base, head)
    assert len(pairs) == 2 and all(pair.base and pair.head for pair in pairs)
    assert [pair.changed for pair in pairs] == [[], ["inner_lr: 0.2 → 0.3"]]


def test_two_candidates_are_no_match(make_record):
    base = [make_record(options={"inner_lr": rate}) for rate in (0.1, 0.2)]
    head = [make_record(options={"inner_lr": 0.3})]
    assert all(pair.base is None or pair.head is None for pair in pair_cells(base, head))


def test_another_number_of_queries_is_the_same_cell_under_other_conditions(make_record):
    (pair,) = pair_cells([make_record(queries=1)], [make_record(queries=15)])
    assert pair.base.conditions.differences(pair.head.conditions) == ["queries 1 and 15"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is a function without state
@given(data=st.data())
def test_every_record_is_in_one_cell(make_record, data):
    chosen = st.lists(st.tuples(st.sampled_from(["maml", "reptile"]), st.sampled_from([0.1, 0.2]), st.integers(0, 3)))
    sides = [
        [make_record(name, options={"inner_lr": rate}, seed=seed) for name, rate, seed in data.draw(chosen)]
        for _ in range(2)
    ]
    pairs = pair_cells(*sides)
    for place, side in enumerate(sides):
        cells = [(pair.base, pair.head)[place] for pair in pairs]
        assert sum(len(cell.row.runs) for cell in cells if cell) == len(side)
    assert len({pair.name for pair in pairs}) == len(pairs), "no two cells have one name"

"""From records to methods, cells and complete scores."""

import pytest

from mamlbench.errors import ConfigError
from mamlbench.report.across import collect_scores

OLD = "Test data, in training: unknown, for every score."
"""Of records that do not say what their networks were trained on."""


def names(scores):
    return [str(method) for method in scores.methods]


def titles(scores):
    return [cell.title for cell in scores.cells]


def test_methods_are_rows_and_cells_are_tables(study):
    scores = collect_scores(study())
    assert names(scores) == ["protonet", "maml", "fomaml", "reptile"]  # the best mean rank first
    assert titles(scores)[:3] == ["omniglot 5-way 1-shot", "omniglot 5-way 5-shot", "omniglot 20-way 1-shot"]
    assert [runs.shape for runs in scores.scores] == [(3, 8)] * 4
    assert len(scores.datasets) == 4 and scores.notes == [OLD]
    assert scores.mean_ranks.tolist() == sorted(scores.mean_ranks.tolist())


def test_the_scores_are_those_of_the_records(make_record, across_cells):
    records = [
        make_record(method, score=base + cell / 10 + seed / 100, seed=seed, dataset=dataset, ways=ways, shots=shots)
        for method, base in (("maml", 0.3), ("reptile", 0.2))
        for cell, (dataset, ways, shots) in enumerate(across_cells[:3])
        for seed in (2, 0, 1)
    ]
    scores = collect_scores(records)
    assert scores.scores[0].tolist() == [
        pytest.approx(row) for row in [[0.3 + cell / 10 + seed / 100 for cell in range(3)] for seed in range(3)]
    ]


def test_each_mode_is_a_cell_of_its_own_if_it_is_asked_for(study, across_cells):
    records = study(cells=across_cells[:2])
    assert len(collect_scores(records, modes=["inductive"]).cells) == 2
    both = collect_scores(records, modes=["transductive", "inductive"])
    assert titles(both)[:2] == ["omniglot 5-way 1-shot, transductive", "omniglot 5-way 1-shot, inductive"]
    with pytest.raises(ConfigError, match=r"test score in the mode support\+query"):
        collect_scores(records, modes=["support+query"])


def test_settings_make_a_method_only_if_they_differ_within_a_cell(make_record, across_cells):
    records = [
        make_record("maml", score=0.5 + rate, dataset=dataset, ways=ways, shots=shots, options={"inner_lr": rate})
        for dataset, ways, shots in across_cells[:3]
        for rate in (0.1, 0.4)
    ]
    by_preset = [  # another rate on each data set, as presets have it: one method
        make_record("reptile", dataset=dataset, ways=ways, shots=shots, options={"inner_lr": number / 10})
        for number, (dataset, ways, shots) in enumerate(across_cells[:3])
    ]
    assert names(collect_scores([*records, *by_preset])) == ["reptile", "maml (inner_lr=0.4)", "maml (inner_lr=0.1)"]


def test_presets_that_share_a_cell_are_methods(make_record, across_cells):
    records = [
        make_record("maml", preset=preset, score=score, dataset=dataset, ways=ways, shots=shots)
        for dataset, ways, shots in across_cells[:2]
        for preset, score in (("quick", 0.5), ("paper", 0.6))
    ]
    assert names(collect_scores(records)) == ["maml (preset=paper)", "maml (preset=quick)"]


def test_runs_of_other_machines_and_code_are_of_the_same_method(make_record, across_cells):
    records = [
        make_record(method, seed=seed, dataset=dataset, ways=ways, shots=shots, environment={"cpu": f"CPU {seed}"})
        for method in ("maml", "reptile")
        for dataset, ways, shots in across_cells[:2]
        for seed in (0, 1)
    ]
    scores = collect_scores(records)
    assert [len(runs) for runs in scores.scores] == [2, 2]
    assert "maml on omniglot 5-way 1-shot: runs that differ in cpu are combined." in scores.notes


def test_a_method_on_one_cell_is_left_out_and_so_is_a_cell_of_one_method(study, make_record, across_cells):
    stray = make_record("stray", dataset="omniglot", ways=5, shots=1)
    lonely = make_record("maml", dataset="fc100", ways=5, shots=1)
    scores = collect_scores([*study(), stray, lonely])
    assert len(scores.methods) == 4 and len(scores.cells) == 8
    assert scores.notes[0].startswith("Left out: stray, which has no finished run on omniglot 5-way 5-shot; ")
    assert "Left out: fc100 5-way 1-shot, which has no finished run of fomaml, reptile, protonet." in scores.notes


def test_every_cell_counts_as_many_seeds_of_a_method(study, make_record):
    more = [make_record("maml", seed=seed, dataset="omniglot", ways=5, shots=1) for seed in (3, 4)]
    scores = collect_scores([*study(), *more])
    assert {len(runs) for runs in scores.scores} == {3}
    assert scores.notes == [
        OLD,
        "maml: the first 3 seeds of each cell count, because not every cell has more (omniglot 5-way 1-shot has).",
    ]


def test_runs_that_did_not_finish_are_named(study, make_record):
    failed = make_record("maml", seed=7, status="diverged", dataset="glyphs", ways=5, shots=1)
    scores = collect_scores([*study(), failed])
    assert any(note.startswith("maml on glyphs 5-way 1-shot: seed 7 did not finish.") for note in scores.notes)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308, -1e31])
def test_a_score_that_no_run_can_have_counts_as_not_tested(study, make_record, value):
    impossible = make_record("maml", seed=7, score=value, dataset="glyphs", ways=5, shots=1)
    scores = collect_scores([*study(), impossible])
    assert "glyphs 5-way 1-shot" not in titles(scores)
    assert "Left out: glyphs 5-way 1-shot, which has no finished run of maml." in scores.notes
    assert any(note.startswith("maml has a score on glyphs 5-way 1-shot that is not a number") for note in scores.notes)


def test_too_few_methods_or_cells_are_listed(study, across_cells):
    with pytest.raises(ConfigError, match="Here 1 method and 8 cells have runs: omniglot 5-way 1-shot: maml; "):
        collect_scores(study(methods={"maml": 0}))
    with pytest.raises(ConfigError, match="Here 4 methods and 1 cell have runs"):
        collect_scores(study(cells=across_cells[:1]))
    with pytest.raises(ConfigError, match="None of these records has a test score"):
        collect_scores([])


def test_cells_of_the_same_name_are_distinguished(study, across_cells):
    cells = across_cells[:1]
    records = [*study(cells=cells), *study(cells=cells, queries=15), *study(cells=cells, split_hash="other")]
    assert titles(collect_scores(records)) == [
        "omniglot 5-way 1-shot, test split #1, queries 1",
        "omniglot 5-way 1-shot, test split #1, queries 15",
        "omniglot 5-way 1-shot, test split #2, queries 1",
    ]


def test_lower_is_better_where_the_metric_says_so(study, across_cells):
    errors = study(
        methods={"maml": 0.1, "reptile": 0.0}, cells=[("sinusoid", 1, 5), ("sinusoid", 1, 10)], regression=True
    )
    scores = collect_scores(errors)
    assert names(scores) == ["reptile", "maml"]
    assert (scores.directed[0] == -scores.scores[0]).all()
    mixed = collect_scores([*errors, *study(methods={"maml": 0.1, "reptile": 0.0}, cells=across_cells[:3])])
    assert len(mixed.cells) == 5 and len(mixed.on_one_scale.cells) == 3

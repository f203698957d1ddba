"""Suite files: valid ones, and how all mistakes are reported together with their lines."""

import pytest

from mamlbench.errors import ConfigError
from mamlbench.suite import expand, read_changes, read_suite


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "suite.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def problems(write):
    def problems(text, *, read=read_suite):
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            read(path)
        return [problem.replace(str(path), "suite.toml") for problem in caught.value.problems]

    return problems


def values(cell):
    return {name: setting.value for name, setting in cell.items()}


def cells(path, **changes):
    return [values(cell) for cell in expand(read_suite(path), read_changes(changes) if changes else None)]


def test_single_values_are_one_cell(write):
    suite = read_suite(write('algorithm = "maml"'))
    assert suite.name == "suite"
    assert [values(cell) for cell in expand(suite)] == [{"algorithm": "maml"}]


def test_lists_multiply_with_seeds_running_fastest(write):
    grid = cells(write('algorithm = ["maml", "reptile"]\nshots = [1, 5]\nseeds = 2\niterations = 7\nways = 5'))
    assert [(c["shots"], c["algorithm"], c["seed"]) for c in grid] == [
        (shots, name, seed) for shots in (1, 5) for name in ("maml", "reptile") for seed in (0, 1)
    ]
    assert {c["iterations"] for c in grid} == {7}


def test_precisions_multiply_and_are_known_by_name(write, problems):
    grid = cells(write('algorithm = "maml"\nprecision = ["float32", "bf16"]'))
    assert [cell["precision"] for cell in grid] == ["float32", "bf16"]
    (problem,) = problems('algorithm = "maml"\nprecision = "half"')
    assert "precision" in problem and "'bf16'" in problem


def test_the_training_protocol_multiplies_and_the_validation_interval_does_not(write):
    grid = cells(
        write('algorithm = "protonet"\ntrain_ways = [5, 20]\ntrain_shots = 2\ntrain_queries = 0\nvalidate_every = 9')
    )
    assert [cell["train_ways"] for cell in grid] == [5, 20]
    assert {(cell["train_shots"], cell["train_queries"], cell["validate_every"]) for cell in grid} == {(2, 0, 9)}


def test_seeds_may_be_named(write):
    assert [c["seed"] for c in cells(write('algorithm = "maml"\nseed = [3, 5]'))] == [3, 5]


@pytest.mark.parametrize(
    "options",
    [
        "options.inner_lr = 0.1\noptions.backbone.width = [8, 16]",
        '[options]\ninner_lr = 0.1\n"backbone.width" = [8, 16]',
        "[options.algorithm]\ninner_lr = 0.1\n[options.backbone]\nwidth = [8, 16]",
        '[options]\nbackbone = { width = [8, 16] }\n"algorithm.inner_lr" = 0.1',
    ],
)
def test_options_in_every_notation_of_toml(write, options):
    grid = cells(write(f'algorithm = "maml"\n{options}'))
    assert grid == [{"algorithm": "maml", "options.inner_lr": 0.1, "options.backbone.width": w} for w in (8, 16)]


def test_metrics_are_one_value(write):
    path = write('algorithm = "maml"\nmetrics = ["accuracy", "macro F1"]')
    assert cells(path) == [{"algorithm": "maml", "metrics": ("accuracy", "macro F1")}]


def test_modes_and_a_list_in_a_list_are_single_values(write):
    path = write('algorithm = "maml"\nmodes = ["inductive", "transductive"]\noptions.backbone.hidden = [[8, 8]]')
    assert cells(path) == [
        {"algorithm": "maml", "modes": ("inductive", "transductive"), "options.backbone.hidden": [8, 8]}
    ]


def test_every_setting_of_a_suite_reaches_its_cells(write):
    from mamlbench.suite.grid import SINGLE
    from mamlbench.suite.suite_file import CellConditions, SuiteSettings

    assert {*SuiteSettings.model_fields} == {*CellConditions.model_fields, *SINGLE, "seeds"}
    text = 'algorithm = "maml"\ntest_sampling = "without-replacement"\ntest_until = 0.01\non_divergence = "skip"'
    (cell,) = cells(write(text))
    assert (cell["test_sampling"], cell["test_until"], cell["on_divergence"]) == ("without-replacement", 0.01, "skip")


FULL = """
algorithm = ["maml", "reptile"]
shots = [1, 5]
iterations = 100
options.inner_lr = 0.4

[[include]]
algorithm = "pretrain"
options.finetune_lr = 0.5

[[override]]
when = { algorithm = "reptile" }
iterations = [300, 600]
options.inner_lr = 0.001

[[exclude]]
shots = 5
algorithm = ["reptile", "pretrain"]
"""


def test_include_override_and_exclude(write):
    assert [(c["algorithm"], c["shots"], c["iterations"], c["options.inner_lr"]) for c in cells(write(FULL))] == [
        ("maml", 1, 100, 0.4),
        ("reptile", 1, 300, 0.001),
        ("reptile", 1, 600, 0.001),
        ("maml", 5, 100, 0.4),
        ("pretrain", 1, 100, 0.4),
    ]


def test_a_later_override_wins_and_matches_the_overridden_settings(write):
    path = write(
        'algorithm = "maml"\niterations = 1\n[[override]]\nwhen.iterations = 1\niterations = 2\n'
        "[[override]]\nwhen.iterations = 2\niterations = 3\n"
    )
    assert [c["iterations"] for c in cells(path)] == [3]


def test_the_command_line_takes_precedence(write):
    grid = cells(write(FULL), iterations="3", **{"options.backbone.width": "[4, 8]", "seeds": "2"})
    assert {c["iterations"] for c in grid} == {3}
    assert [(c["options.backbone.width"], c["seed"]) for c in grid[:4]] == [(4, 0), (4, 1), (8, 0), (8, 1)]


def test_conditions_match_the_settings_of_the_command_line(write):
    """No cell has reptile any more, so neither its override nor its exclusion applies."""
    grid = cells(write(FULL), algorithm="maml", shots="5")
    base = {"algorithm": "maml", "shots": 5, "iterations": 100, "options.inner_lr": 0.4}
    assert grid == [base, {**base, "options.finetune_lr": 0.5}]


def test_strings_from_the_command_line_need_no_quotes(write):
    assert cells(write('algorithm = "maml"'), device="cpu", **{"options.clip": "none"}) == [
        {"algorithm": "maml", "options.clip": "none", "device": "cpu"}
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iteration": "3"}, "--set iteration: there is no such key. Did you mean 'iterations'?"),
        ({"shots": "many"}, "--set shots: input should be a valid integer, not 'many'."),
        ({"include": "1"}, "--set include: there is no such key."),
        ({"seed": "1", "seeds": "2"}, "cannot be combined: use one of them"),
    ],
)
def test_mistakes_on_the_command_line(changes, message):
    with pytest.raises(ConfigError) as caught:
        read_changes(changes)
    assert message in str(caught.value)


def test_all_mistakes_are_reported_together_with_file_line_and_key(problems):
    reported = problems("""
algo = "maml"
shots = [
  1,
  0,
]
ways = "five"
seeds = true

[[include]]
algorithm = "reptile"
iterations = -1
quries = 3

[[override]]
iterations = 3

[[override]]
when = { dataste = "omniglot" }

[[exclude]]
seeds = 2
""")
    assert reported == [
        "suite.toml:2: algo: there is no such key. Did you mean 'algorithm'?",
        "suite.toml:5: shots: input should be greater than or equal to 1, not 0.",
        "suite.toml:7: ways: input should be a valid integer, not 'five'.",
        "suite.toml:8: seeds: input should be a valid integer, not True.",
        "suite.toml:12: include.iterations: input should be greater than or equal to 0, not -1.",
        "suite.toml:13: include.quries: there is no such key. Did you mean 'queries'?",
        "suite.toml:15: override.when: 'when' is missing.",
        "suite.toml:19: override.when.dataste: there is no such key. Did you mean 'dataset'?",
        "suite.toml:22: exclude.seeds: there is no such key. Did you mean 'seed'?",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shots = 1", "suite.toml: 'algorithm' is missing."),
        ("[[include]]\nshots = 1", "suite.toml:1: include: 'algorithm' is missing"),
        ('algorithm = "maml"\nseed = 1\nseeds = 3', "suite.toml:3: seeds: 'seed' and 'seeds' cannot be combined"),
        ('algorithm = "maml"\n[[exclude]]', "suite.toml:2: exclude: without a condition, this excludes every cell."),
        ("algorithm = []", "suite.toml:1: algorithm: a list needs at least one value, not []"),
        ('algorithm = "maml"\nmodes = ["induktive"]', "suite.toml:2: modes: input should be 'transductive', 'indu"),
        ('algorithm = "maml', "suite.toml: not valid TOML: "),
        ("algorithm = 1\nalgorithm = 2\n", "suite.toml:2: not valid TOML: Cannot overwrite a value"),
        ("include = 3", "suite.toml:1: include: input should be a valid tuple, not 3"),
        ('algorithm = "maml"\noptions = 3', "suite.toml:2: options: input should be a valid dictionary, not 3"),
    ],
)
def test_other_mistakes(problems, text, message):
    assert message in "\n".join(problems(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('algorithm = "maml"\nshots = 1\n[[exclude]]\nshots = 5', "suite.toml:3: exclude: matches no cell."),
        (
            'algorithm = "maml"\n[[exclude]]\nshots = 1',
            "matches no cell: a condition can only use settings of this file, and shots is not set.",
        ),
        ('algorithm = "maml"\n[[override]]\nwhen.algorithm = "mml"\nshots = 1', ":3: override.when: matches no cell."),
        ('algorithm = "maml"\n[[exclude]]\nalgorithm = "maml"', "suite.toml: every cell is excluded."),
    ],
)
def test_conditions_that_match_nothing(problems, text, message):
    assert message in "\n".join(problems(text, read=lambda path: expand(read_suite(path))))


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_suite(tmp_path / "nowhere.toml")


def test_plugin_paths_are_relative_to_the_suite(write, tmp_path):
    assert read_suite(write('algorithm = "mine"\nplugins = ["mine.py"]')).plugins == (tmp_path / "mine.py",)

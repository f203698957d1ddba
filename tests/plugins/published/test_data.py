"""Built-in published numbers are well formed, and their algorithms and data sets exist."""

from pathlib import Path

import pytest

import mamlbench_plugins.published
from mamlbench.plugin import load_plugins
from mamlbench.plugin.published_numbers import read_file, read_published

FILES = sorted(Path(mamlbench_plugins.published.__file__).parent.glob("*.toml"))
REGISTRY = load_plugins().registry
NOT_SHIPPED = {"tieredimagenet"}
"""Data sets of published numbers that mamlbench cannot load."""
NUMBERS = {number.id: number for file in FILES for number in read_file(file)}


def test_all_files_are_registered_and_can_be_read():
    assert {file.path for file in REGISTRY.published if file.origin == "mamlbench"} == set(FILES)
    numbers, problems = read_published(REGISTRY.published)
    assert not problems and len(numbers) >= len(NUMBERS) > 50


WITHOUT_NUMBERS = {"fomaml-rl", "logistic", "maml-rl", "pretrain-rl", "sharp-maml"}
"""Built-in algorithms whose numbers could not be read; a file says why."""


def test_every_built_in_algorithm_has_published_numbers_or_a_reason():
    built_in = {entry.name for entry in REGISTRY.entries("algorithm") if entry.origin == "mamlbench"}
    assert built_in - {number.algorithm for number in NUMBERS.values()} == WITHOUT_NUMBERS
    comments = " ".join(line for file in FILES for line in file.read_text().splitlines() if line.startswith("#"))
    assert all(f"{name} has no numbers:" in comments.lower() for name in WITHOUT_NUMBERS)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=lambda number: number.id)
def test_an_id_has_the_task_and_names_exist(number):
    _, _, experiment = number.id.partition("/")
    task = f"{number.dataset}-{f'{number.ways}w' if number.ways else ''}{number.shots}s-"
    assert experiment.startswith(task)
    metric = REGISTRY.load("metric", number.metric)
    assert number.unit == metric.unit
    if number.dataset not in NOT_SHIPPED:
        assert metric.kind == REGISTRY.load("dataset", number.dataset).kind


def test_second_hand_numbers_are_marked():
    first_hand = {number.id.partition("/")[0] for number in NUMBERS.values() if not number.second_hand}
    papers = "finn2017 snell2017 raghu2020 lee2019 chen2019 chen2021 ye2022 oh2021 fan2021 park2019"
    assert first_hand == {*papers.split(), "learn2learn", "dragen1860"}
    quoted = {number.id for number in NUMBERS.values() if "quot" in number.source}
    assert quoted and all(NUMBERS[name].second_hand for name in quoted)


def test_a_tier_beyond_quoted_rests_on_records_of_this_repository():
    results = Path(__file__).parents[3] / "results"
    for number in NUMBERS.values():
        assert (number.tier == "quoted") == (not number.records)
        for name in number.records:
            assert (results / f"{name}.json").is_file(), f"{number.id}: results/{name}.json is missing"


@pytest.mark.parametrize(
    ("dataset", "algorithm"),
    [
        ("cifar-fs", "metaoptnet"),
        ("cifar-fs", "r2d2"),
        ("fc100", "tadam"),
        ("tieredimagenet", "unicorn-maml"),
        ("miniimagenet", "boil"),
        ("cifar-fs", "l2l-maml"),
    ],
)
def test_what_a_researcher_looks_for_is_there(dataset, algorithm):
    assert [number for number in NUMBERS.values() if (number.dataset, number.algorithm) == (dataset, algorithm)]


@pytest.mark.parametrize(
    ("name", "score", "interval", "mode"),
    [
        ("finn2017/omniglot-5w1s-maml", 98.7, 0.4, "transductive"),
        ("finn2017/miniimagenet-5w1s-maml", 48.70, 1.84, "transductive"),
        ("nichol2018/omniglot-5w1s-reptile", 95.39, 0.09, "support+query"),
        ("finn2017/sinusoid-5s-maml-10steps", 0.35, None, None),
        ("lee2019/cifar-fs-5w1s-metaoptnet-svm", 72.0, 0.7, "running"),
        ("lee2019/miniimagenet-5w5s-protonet-resnet12", 75.60, 0.48, "running"),
        ("ye2022/miniimagenet-5w5s-unicorn-maml", 84.30, None, None),
        ("chen2019/miniimagenet-5w5s-baseline++", 66.43, 0.63, "running"),
        ("raghu2020/miniimagenet-5w1s-nil", 48.0, 0.7, None),
        ("fan2021/miniimagenet-5w1s-sign-maml", 46.5, None, "transductive"),
        ("park2019/omniglot-20w1s-meta-curvature", 97.86, 0.26, None),
        ("tian2020/miniimagenet-5w5s-linear-probe", 79.64, 0.44, None),
    ],
)
def test_some_numbers_equal_those_of_the_papers(name, score, interval, mode):
    number = NUMBERS[name]
    assert (number.score, number.interval, number.mode) == (score, interval, mode)

"""``mamlbench published`` and what ``info`` shows of it."""

import pytest

from mamlbench.errors import ExitCode

GOOD = """
[[group]]
algorithm = "mine"
dataset = "omniglot"
source = "a report [1]"
second_hand = true
results = [{ id = "ours/omniglot-5w1s-mine", ways = 5, shots = 1, score = 97.1, interval = 0.45 }]
"""
PLUGIN = """
from pathlib import Path
import mamlbench

@mamlbench.hookimpl
def mamlbench_register_published(register):
    register(Path(__file__).with_name("numbers.toml"))
"""


@pytest.fixture
def plugin(project):
    """A plugin that brings a file of numbers: ``plugin(text)`` writes both and gives the options that load it."""

    def write(text):
        (project.path / "numbers.toml").write_text(text)
        return "--plugin", str(project.write(mine=PLUGIN))

    return write


def test_the_table_shows_number_conditions_and_source(project):
    out = project.run("published", "finn2017").out
    assert "finn2017/miniimagenet-5w1s-maml" in out and "48.70 ± 1.84 %" in out
    assert "arXiv 1703.03400" in out and "nichol2018" not in out


def test_words_filter_the_table(project):
    numbers = project.run("published", "maml", "sinusoid", "--json").json()
    assert [number["score"] for number in numbers] == [0.67, 0.38, 0.35]
    assert project.run("published", "maml", "mean squared error", "--json").json() == numbers
    assert {number["source"] for number in numbers} == {"Finn et al. 2017 (arXiv 1703.03400), appendix C.1, table 2"}


def test_options_filter_the_table_too(project):
    numbers = project.run("published", "--dataset", "cifar-fs", "--algo", "r2d2", "--json").json()
    assert [(number["shots"], number["score"]) for number in numbers] == [(1, 65.3), (5, 79.4)]
    assert all(number["second_hand"] and number["tier"] == "quoted" for number in numbers)
    assert "'cifarfs' is unknown" in project.run("published", "--dataset", "cifarfs", expect=ExitCode.NOTHING).err


def test_a_method_without_numbers_is_not_called_unknown(project):
    err = project.run("published", "--algo", "sharp-maml", expect=ExitCode.NOTHING).err
    assert err.strip() == "Error: No published number matches."


def test_an_unknown_word_is_explained(project):
    assert "'mml' is unknown. Did you mean 'maml'?" in project.run("published", "mml", expect=ExitCode.NOTHING).err
    assert project.run("published", "maml", "finn2018", expect=ExitCode.NOTHING).err.count("finn2017") == 1
    assert "No published number matches." in project.run("published", "anil", "sinusoid", expect=ExitCode.NOTHING).err


def test_the_metric_is_shown(project):
    out = project.run("published", "finn2017").out
    assert "table 2; mean squared error" in out and "; accuracy" in out


def test_a_plugin_adds_numbers(project, plugin):
    loaded = plugin(GOOD)
    out = project.run("published", "mine", *loaded).out
    assert "97.10 ± 0.45 %" in out and "a report [1] (second hand)" in out
    (row,) = [report for report in project.run("plugins", "--json", *loaded).json() if report["name"] == "mine"]
    assert row["provides"] == ["published numbers"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[group]", "cannot be read"),
        ("", "nothing instead of [[group]]"),
        ("[[groups]]\n", "groups instead of [[group]]"),
        (GOOD.replace("97.1", "197.1"), "197.1 is no percentage"),
        (GOOD.replace("shots = 1", "shot = 1"), "ours/omniglot-5w1s-mine"),
        (GOOD.replace("ours/omniglot-5w1s-mine", "finn2017/omniglot-5w1s-maml"), "is used twice"),
    ],
    ids=["no TOML", "empty", "misspelled", "impossible", "unknown field", "twice"],
)
def test_an_invalid_file_is_one_warning(project, plugin, text, message):
    done = project.run("published", "finn2017", *plugin(text))
    assert message in done.err and done.err.count("Warning") == 1
    assert "finn2017/omniglot-20w1s-maml" in done.out


def test_a_missing_file_is_a_warning(project):
    assert "numbers.toml" in project.run("published", "--plugin", str(project.write(mine=PLUGIN))).err


def test_info_shows_the_numbers_of_an_algorithm_and_of_a_data_set(project):
    out = project.run("info", "maml").out
    assert "finn2017/omniglot-5w1s-maml" in out and "98.7 ± 0.4 %" in out and "nichol2018" not in out
    (described,) = project.run("info", "omniglot", "--json").json()
    assert {number["dataset"] for number in described["published"]} == {"omniglot"}
    (described,) = project.run("info", "mlp", "--json").json()
    assert "published" not in described


def test_a_report_adds_published_numbers_to_its_tables(project):
    arguments = ("--dataset", "sinusoid", "--iterations", "1", "--test-episodes", "4", "--validation-episodes", "2")
    project.run("run", "--algo", "maml", "-o", "backbone.hidden=[4]", "-o", "backbone.norm=false", "-q", *arguments)
    assert "Published" not in project.run("report", "--format", "md").out
    table = project.run("report", "--format", "md", "--published").out
    assert "**Published, not run here: sinusoid, 5-shot: mean squared error**" in table
    assert "maml (finn2017/sinusoid-5s-maml-1step)" in table
    for more in (["--across"], ["--format", "html"], ["--figure", "curves", "--format", "svg"]):
        done = project.run("report", "--published", *more, expect=ExitCode.USAGE)
        assert "leave out --figure, --across and --format html" in done.err

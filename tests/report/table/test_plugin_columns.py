"""Columns from plugins: in every format, sorted and marked; and columns that fail."""

import csv
import io
import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

from mamlbench.errors import ConfigError, ExitCode
from mamlbench.plugin import ReportColumn
from mamlbench.report import build_tables
from mamlbench.report.page import render_page
from mamlbench.report.render import RENDERERS
from mamlbench.report.table.choose_columns import built_in_names


def column(value, name="own", **changes):
    settings = {
        "heading": name,
        "unit": "",
        "lower_is_better": None,
        "of": "record",
        "about": "",
        "measures_machine": False,
        "origin": "somebody",
    } | changes
    return {name: ReportColumn(name=name, value=value, **settings)}


def seed(record):
    return record.spec.seed


def shown(records, plugin_columns, name="own"):
    """Return the text of each cell, by algorithm, of the only table."""
    (table,) = build_tables(records, ["score", name], plugin_columns=plugin_columns)
    index = [column.name for column in table.columns].index(name)
    return {row.algorithm: row.cells[index].text for row in table.rows}


def test_numbers_are_averaged_over_seeds_and_texts_joined(make_record):
    runs = [make_record("maml", seed=number) for number in (1, 2)] + [make_record("anil", seed=7)]
    assert shown(runs, column(seed)) == {"maml": "1.50", "anil": "7"}
    assert shown(runs, column(lambda record: f"seed {seed(record)}")) == {"maml": "seed 1, seed 2", "anil": "seed 7"}
    assert shown(runs, column(len, of="records")) == {"maml": "2", "anil": "1"}


def test_a_repeat_counts_once_and_a_failed_row_is_included(make_record):
    runs = [make_record("maml"), make_record("maml"), make_record("anil", status="failed", seed=3)]
    assert shown(runs, column(len, of="records")) == {"maml": "1", "anil": "1"}
    assert shown(runs, column(seed)) == {"maml": "0", "anil": "3"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.25, "0.250"),
        (np.float32(0.5), "0.500"),
        (np.int64(3), "3"),
        (True, "yes"),
        ("", ""),
        (float("nan"), "nan"),
        (10**18, "1e+18"),
        (float("inf"), "inf"),
    ],
)
def test_any_number_or_string_is_shown(make_record, value, text):
    assert shown([make_record()], column(lambda record: value)) == {"maml": text}


def test_a_fraction_is_shown_in_percent_and_exported_as_a_fraction(make_record):
    (table,) = build_tables(
        [make_record()], ["own"], plugin_columns=column(lambda record: 0.123, unit="%", heading="part")
    )
    assert table.columns[0].title == "part, %" and table.rows[0].cells[0].text == "12.3"
    (row,) = csv.DictReader(io.StringIO(RENDERERS["csv"]([table])))
    assert float(row["own"]) == 0.123


@pytest.mark.parametrize(("lower", "order"), [(True, "abc"), (False, "cba"), (None, "abc")])
def test_a_table_is_sorted_by_it_best_first(make_record, lower, order):
    runs = [make_record(name, seed=index) for index, name in enumerate("abc")]
    (table,) = build_tables(runs, sort="own", plugin_columns=column(seed, lower_is_better=lower))
    assert "".join(row.algorithm for row in table.rows) == order
    assert "own" not in [column.name for column in table.columns]


def test_the_best_are_marked_if_every_row_has_three_seeds(make_record):
    runs = [make_record(name, seed=number) for name in ("a", "b") for number in range(3)]
    values = {"a": 1.0, "b": 9.0}
    registered = column(lambda record: values[record.spec.algorithm.name] + seed(record) / 10, lower_is_better=True)
    (table,) = build_tables(runs, ["own"], plugin_columns=registered)
    assert {row.algorithm: row.cells[0].best for row in table.rows} == {"a": True, "b": False}
    assert "own: the same, compared run by run (Cochran-Cox test)." in table.marked
    (table,) = build_tables(runs[:-1], ["own"], plugin_columns=registered)
    assert {row.cells[0].best for row in table.rows} == {None}


def test_values_from_another_machine_are_marked(make_record):
    runs = [make_record("a"), make_record("b"), make_record("c", environment={"threads": 8})]
    (table,) = build_tables(runs, ["own"], plugin_columns=column(seed, measures_machine=True))
    assert {row.algorithm: row.cells[0].mark for row in table.rows} == {"a": "", "b": "", "c": "†"}


def failing(error):
    def value(record):
        raise error

    return value


FAILURES = {
    "raises": (failing(ValueError("boom\nand more")), "ValueError: boom and more."),
    "exits": (failing(SystemExit(3)), "SystemExit: 3."),
    "no message": (failing(KeyError()), "KeyError."),
    "returns a list": (lambda record: [1], "TypeError: it returned a list, not a number or a string."),
    "returns a decimal": (lambda record: Decimal(1), "TypeError: it returned a Decimal, not a number or a string."),
    "too large": (lambda record: 10**400, "OverflowError: int too large to convert to float."),
    "no such module": ("no_such_module_anywhere:f", "No module named 'no_such_module_anywhere'."),
    "no such function": ("mamlbench.errors:nothing", "has no attribute 'nothing'."),
    "wrong arguments": (lambda: 1, "takes 0 positional arguments but 1 was given."),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_column_that_fails_is_empty_and_one_sentence_explains_it(make_record, case):
    value, message = FAILURES[case]
    runs = [make_record("maml", score=0.9), make_record("anil", score=0.8)]
    (table,) = build_tables(runs, ["score", "own"], sort="own", plugin_columns=column(value))
    assert [row.cells[-1].text for row in table.rows] == ["", ""]
    (problem,) = [note for note in table.notes if "own" in note]
    assert problem.startswith("Column 'own' (somebody) failed and is empty: ") and problem.endswith(message)
    assert table.rows[0].cells[0].text == "80.0 ± 1.0", "without numbers it is sorted by name"


def test_a_column_that_fails_in_some_rows_is_empty_there(make_record):
    def value(record):
        return 1 / seed(record)

    runs = [make_record("maml", seed=0), make_record("anil", seed=2)]
    assert shown(runs, column(value)) == {"maml": "", "anil": "0.500"}
    (table,) = build_tables(runs, ["own"], plugin_columns=column(value))
    assert "in 1 of 2 rows: ZeroDivisionError" in " ".join(table.notes)


@pytest.mark.parametrize("format_", RENDERERS)
def test_it_is_shown_and_escaped_in_every_format(make_record, format_):
    nasty = "<script>alert(1)</script>|`x`\x1b[2J\n\\input{x}"
    registered = column(lambda record: nasty, heading=nasty, about=nasty) | column(lambda record: 41.5, "good")
    text = RENDERERS[format_](build_tables([make_record()], ["own", "good"], plugin_columns=registered))
    assert "41.5" in text and "good" in text and "\x1b" not in text
    if format_ not in ("csv", "json"):
        assert "<script" not in text.replace(r"\<", "")
    assert format_ != "latex" or r"\input" not in text


def test_it_is_shown_and_escaped_on_the_page(make_run):
    nasty = "<script>alert(1)</script>"
    page = render_page(
        [make_run()], columns=["own"], plugin_columns=column(lambda record: nasty, heading=nasty, about=nasty)
    )
    assert "<script>" not in page and page.count("&lt;script&gt;alert(1)") == 3


def test_unknown_names_are_errors_and_default_stands_for_the_default_columns(make_record):
    (table,) = build_tables([make_record()], ["default", "own"], plugin_columns=column(seed))
    names = [shown.name for shown in table.columns]
    assert names == [shown.name for shown in build_tables([make_record()])[0].columns] + ["own"]
    (table,) = build_tables([make_record()], ["all"], plugin_columns=column(seed))
    assert table.columns[-1].name == "own"
    assert {shown.name for shown in table.columns} - {"own"} <= built_in_names()
    with pytest.raises(ConfigError, match=r"no column 'owm'\. Did you mean 'own'"):
        build_tables([make_record()], ["owm"], plugin_columns=column(seed))


PLUGIN = """
import mamlbench

@mamlbench.hookimpl
def mamlbench_report_columns(register):
    register("own", lambda record: record.spec.seed, lower_is_better=False)
    register("broken", lambda record: 1 / 0)
    register("memory", lambda record: 0)
"""


@pytest.fixture
def folder(project, make_record):
    (project.path / "results").mkdir()
    for number, name in enumerate(("maml", "anil")):
        (project.path / "results" / f"{name}.json").write_text(make_record(name, seed=number).model_dump_json())
    return project


def test_the_columns_of_a_file_named_by_plugin_are_shown_by_default(folder):
    plugin = str(folder.write(columns=PLUGIN))
    done = folder.run("report", "--plugin", plugin, "--format", "json")
    rows = json.loads(done.out)[0]["rows"]
    assert {row["algorithm"]: row["own"] for row in rows} == {"maml": 0, "anil": 1}
    assert "broken" not in rows[0] and "Column 'broken' (columns.py) failed" in " ".join(
        json.loads(done.out)[0]["notes"]
    )
    assert "Column 'memory'" in done.err and rows[0]["memory"] == 512 * 1024**2
    done = folder.run("report", "--plugin", plugin, "--format", "csv", "--columns", "broken", "--sort", "own")
    assert [row["algorithm"] for row in csv.DictReader(done.out.splitlines())] == ["anil", "maml"]
    assert done.err.count("Column 'broken' (columns.py) failed and is empty: ZeroDivisionError") == 1


def test_columns_of_the_config_file_are_shown_on_request_and_a_broken_file_is_reported(folder):
    folder.write(columns=PLUGIN, broken="import no_such_module_anywhere")
    (folder.path / "mamlbench.toml").write_text('plugins = ["columns.py", "broken.py"]')
    assert " own " not in folder.run("report").out
    done = folder.run("report", "--columns", "own")
    assert " own " in done.out and "Plugin 'broken'" in done.err and "broken.py, line 1: import no_such" in done.err
    failed = folder.run("report", "--columns", "owm", expect=ExitCode.USAGE)
    assert "Did you mean 'own'?" in failed.err
    assert "column own" in folder.run("plugins").out


def test_no_torch_is_imported_for_it(folder):
    plugin = folder.write(columns=PLUGIN)
    code = f"""
import sys
from mamlbench.cli.main import main
assert main(["report", "--plugin", {str(plugin)!r}, "--columns", "all", "--format", "csv"]) == 0
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

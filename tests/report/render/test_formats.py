"""Tables in every format, also with names that contain special characters."""

import csv
import io
import json
import subprocess
from xml.etree import ElementTree

import pytest
from rich.console import Console

from mamlbench.report import build_tables, print_table
from mamlbench.report.render import RENDERERS


def rendered(format_, *records):
    return RENDERERS[format_](build_tables(records))


def printed(records, width=100, columns=()):
    out = io.StringIO()
    console = Console(file=out, width=width)
    if columns:
        from mamlbench.report.render.terminal import print_tables

        print_tables(build_tables(records, columns), console)
    else:
        print_table(records, console)
    return out.getvalue()


def test_the_default_table_fits_110_columns(make_record):
    text = printed([make_record("maml"), make_record("pretrain")], width=110)
    assert max(map(len, text.splitlines())) <= 110
    rows = [line for line in text.splitlines() if line.startswith((" maml", " pretrain"))]
    assert all("93.0 ± 1.0" in line and "+36.0 ± 2.0" in line for line in rows) and len(rows) == 2


def test_columns_that_do_not_fit_are_printed_below_with_the_labels(make_record):
    text = printed([make_record("maml")], columns=["all"])
    assert text.count(" algorithm ") > 1 and text.count("\n maml ") == text.count(" algorithm ")
    assert "examples seen" in text and "111,749" in text


def test_a_long_label_is_wrapped_to_leave_space_for_other_columns(make_record):
    words = [f"word{number}" for number in range(10)]
    labeled = make_record("maml")
    labeled = labeled.model_copy(update={"spec": labeled.spec.model_copy(update={"label": " ".join(words)})})
    text = printed([labeled, make_record("b")], columns=["score", "seeds"], width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.count(" algorithm ") == 1
    assert all(word in text for word in words)
    assert "maml (inner_lr=0.4)" in printed([make_record("maml"), make_record("maml", options={"inner_lr": 0.5})])


def test_markdown_is_a_table_of_equal_lines(make_record):
    lines = [line for line in rendered("md", make_record("ma|ml"), make_record("b")).splitlines() if line[:1] == "|"]
    assert len(lines) == 4 and len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert r"ma\|ml" in "".join(lines)


def test_csv_and_json_hold_the_numbers(make_record):
    (row,) = csv.DictReader(io.StringIO(rendered("csv", make_record(score=0.9))))
    assert float(row["transductive"]) == 0.9 and row["algorithm"] == "maml" and row["queries"] == "1"
    (table,) = json.loads(rendered("json", make_record(score=0.9)))
    assert table["rows"][0]["transductive"] == 0.9 and table["conditions"]["shots"] == 1
    assert table["rows"][0]["transductive_interval_over"] == "episodes"


def test_a_name_is_not_a_formula_in_a_spreadsheet(make_record):
    (row,) = csv.DictReader(io.StringIO(rendered("csv", make_record("=1+1"))))
    assert row["algorithm"] == "'=1+1"


def test_control_characters_do_not_reach_the_terminal(make_record):
    failed = make_record("maml", status="failed", reason="\x1b[2Jgone\u202egnorw")
    assert not {"\x1b", "\u202e"} & set(printed([failed]))
    assert "\x1b" not in rendered("csv", make_record("a\x1b[2Jb"))


def test_the_image_is_an_svg_with_the_numbers(make_record):
    image = ElementTree.fromstring(rendered("svg", make_record("maml")))
    assert image.tag.endswith("svg") and "93.0" in "".join(image.itertext())


def compiled(folder, tables, class_options=""):
    """The log of pdflatex."""
    head = f"\\documentclass[{class_options}]{{article}}\\usepackage{{booktabs,graphicx}}"
    (folder / "t.tex").write_text(
        f"{head}\\begin{{document}}\n{tables}\nSee \\ref{{tab:omniglot-5w1s}}.\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.usefixtures("latex")
def test_latex_compiles(tmp_path, make_record):
    names = ["a_b%c&d{e}~^\\#$", "[2pt] x", "*x", "`x` --y"]
    failed = make_record("maml", status="failed", reason="θ < 1 | 2")
    compiled(tmp_path, rendered("latex", *map(make_record, names), failed))


@pytest.mark.usefixtures("latex")
@pytest.mark.parametrize("columns", ["paper", "default", "all"])
@pytest.mark.parametrize("class_options", ["", "twocolumn"])
def test_fourteen_methods_fit_the_page_in_one_and_two_columns(tmp_path, make_record, columns, class_options):
    names = ["maml", "fomaml", "reptile", "anil", "boil", "cavia", "imaml", "protonet", "r2d2", "metaoptnet", "maml++"]
    names += ["pretrain", "finetune"]
    records = [make_record(name, score=0.5 + index / 100) for index, name in enumerate(names)]
    records += [make_record("meta-curvature", options=options) for options in ({"an_option_of_a_plugin": 12345}, {})]
    log = compiled(tmp_path, RENDERERS["latex"](build_tables(records, [columns])), class_options)
    assert "Overfull" not in log


def test_latex_escapes_special_characters(make_record):
    text = rendered("latex", make_record("a_b%c"))
    assert r"a\_b\%c" in text and r"\begin{tabular}" in text and r"\toprule" in text

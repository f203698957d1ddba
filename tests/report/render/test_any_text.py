"""Every format shows any text as it is: parsed back, a table has the same cells, and nothing in them has a meaning."""

import csv
import io
import json
import re
from typing import NamedTuple
from xml.etree import ElementTree

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from mamlbench.report.formatting import printable
from mamlbench.report.render import RENDERERS
from mamlbench.report.render.latex import to_latex
from mamlbench.report.render.terminal import print_tables
from mamlbench.report.table.columns import Column, TableCell
from mamlbench.report.table.table import Table, TableRow

SPECIAL = "|\\`*_[]<>~&#$%^{}\"'=+-@!?.:;,()/ \t\n\r\v\f\x00\x1b\u00a0\u2028\u202e±†‡θ−ａé漢"
TEXTS = st.text(st.sampled_from(SPECIAL) | st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = ["&lt;b&gt;", "\\|", "# x", "1. x", "- x", "--allow-leak", "[2pt] x", "*x", "=1+1", "a\r\nb", "**x**", "    x"]
TEXT = TEXTS | st.sampled_from(WORDS)


class AnyConditions(NamedTuple):
    """What holds for the rows of these tables."""

    dataset: str


def make_table(title, dataset, note, rows, best):
    columns = [Column(name, name, "", lambda row: TableCell(), numeric=name == "b") for name in ("a", "b")]
    table_rows = [
        TableRow(algorithm, settings, [TableCell(text, {"": text}, best=best), TableCell("1.0", {"": 1.0})])
        for algorithm, settings, text in rows
    ]
    return Table(title, AnyConditions(dataset), "%", columns, table_rows, [note])


TABLES = st.builds(
    make_table,
    TEXT,
    TEXT,
    TEXT,
    st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=3),
    st.booleans() | st.none(),
)
SIMPLE = make_table("title", "data", "note", [("&lt;b&gt;", "", "a|b"), ("[2pt] x", "", "*")], True)


def shown(text):
    """A text without what no format shows: control characters, and how much white space there is."""
    return " ".join(printable(text).split())


def label(row):
    return f"{row.algorithm} ({row.settings})" if row.settings else row.algorithm


def labels_and_texts(table):
    return [(shown(label(row)), shown(row.cells[0].text)) for row in table.rows]


def inline_text(token):
    """The text of one piece of Markdown; nothing in it may be more than text, or bold."""
    assert {child.type for child in token.children} <= {"text", "strong_open", "strong_close"}
    return " ".join("".join(child.content for child in token.children).split())


@given(TABLES)
@example(SIMPLE)
def test_markdown_parses_back(table):
    tokens = MarkdownIt("commonmark").enable("table").parse(RENDERERS["md"]([table]))
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens if token.type != "inline"}
    assert kinds <= {"paragraph", "table", "thead", "tbody", "tr", "th", "td", "bullet_list", "list_item", "hr"}
    texts = [inline_text(token) for token in tokens if token.type == "inline"]
    cells = [
        inline_text(tokens[index + 1]) for index, token in enumerate(tokens) if token.type in ("th_open", "td_open")
    ]
    assert cells[:3] == ["algorithm", "a", "b"]
    assert cells[3:] == [text for pair in labels_and_texts(table) for text in (*pair, "1.0")]
    if shown(table.title):
        assert texts[0] == shown(table.title)
    if shown(table.notes[0]):
        assert texts[-1] == shown(table.notes[0])


@settings(max_examples=25)
@given(st.lists(TABLES, min_size=1, max_size=2))
def test_csv_parses_back(tables):
    header, *rows = csv.reader(io.StringIO(RENDERERS["csv"](tables), newline=""))
    assert header[:5] == ["dataset", "algorithm", "differs_in", "name", "a"]
    assert {"b"} <= {*header[5:]} <= {"a_best", "b"}
    assert all(len(row) == len(header) for row in rows)
    expected = [
        [table.conditions.dataset, row.algorithm, row.settings, label(row), row.cells[0].text]
        for table in tables
        for row in table.rows
    ]
    assert [[field.removeprefix("'") for field in row[:5]] for row in rows] == [
        [printable(field).removeprefix("'") for field in row] for row in expected
    ]
    fields = [field for row in rows for field in row]
    assert not any(field.lstrip().startswith(("=", "+", "-", "@")) for field in fields), "a formula"


@settings(max_examples=25)
@given(st.lists(TABLES, min_size=1, max_size=2))
def test_json_parses_back(tables):
    read = json.loads(RENDERERS["json"](tables))
    for table, content in zip(tables, read, strict=True):
        assert (content["title"], content["conditions"]["dataset"]) == (table.title, table.conditions.dataset)
        assert content["notes"] == table.notes
        for row, fields in zip(table.rows, content["rows"], strict=True):
            best = {} if row.cells[0].best is None else {"a_best": row.cells[0].best}
            words = {"algorithm": row.algorithm, "differs_in": row.settings, "name": label(row), "a": row.cells[0].text}
            assert fields == {**words, "b": 1.0, **best}


COMMANDS = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", "{[}": "[", "{*}": "*"}
COMMANDS |= {r"$\pm$": "±", r"$\dagger$": "†", r"$\ddagger$": "‡", r"$\theta$": "θ", "$-$": "−", "{}": ""}
COMMANDS |= {rf"\{character}": character for character in "&%$#_{}"} | {f"${c}$": c for c in "<>|"}
COMMANDS |= {r"\textasciigrave{}": "`"}
COMMAND = re.compile("|".join(map(re.escape, COMMANDS)))


def from_latex(text):
    """Read escaped text back; no character that LaTeX reads as a command may be left."""
    text = text.strip().removeprefix(r"\raggedright ").replace(r"\allowbreak ", "")
    if text.startswith(r"\textbf{"):
        text = text.removeprefix(r"\textbf{")[:-1]
    assert not set(COMMAND.sub("", text)) & set(r"\&%$#_{}~^<>|")
    return " ".join(COMMAND.sub(lambda match: COMMANDS[match[0]], text).split())


def in_latex(text):
    """What LaTeX can show of a text."""
    symbols = set("±†‡θ−")
    return shown("".join(c if c.isascii() or c in symbols else "?" for c in printable(text)).replace('"', "''"))


@given(TABLES)
@example(SIMPLE)
def test_latex_parses_back(table):
    lines = to_latex([table]).split("\n")
    rows = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(rows) == len(table.rows) and all(row.endswith(r" \\") for row in rows)
    assert not any(row.lstrip().startswith(("[", "*")) for row in rows), r"an argument of the \\ before it"
    cells = [re.split(r"(?<!\\)&", row.removesuffix(r"\\")) for row in rows]
    expected = [[in_latex(label(row)), in_latex(row.cells[0].text), "1.0"] for row in table.rows]
    assert [[from_latex(cell) for cell in row] for row in cells] == expected
    (caption,) = [line for line in lines if line.startswith(r"\caption{")]
    assert from_latex(caption.removeprefix(r"\caption{")[:-1]) == in_latex(table.title)


@given(TABLES)
def test_the_terminal_shows_every_text_in_lines_of_equal_cells(table):
    out = io.StringIO()
    print_tables([table], Console(file=out, width=1000, color_system=None))
    text = " ".join(out.getvalue().split())
    assert "\x1b" not in text
    for shown_text in (
        shown(table.title),
        shown(table.notes[0]),
        *(text for pair in labels_and_texts(table) for text in pair),
    ):
        assert shown_text in text


@given(TABLES)
def test_the_image_is_xml_with_every_text(table):
    image = ElementTree.fromstring(RENDERERS["svg"]([table]))
    texts = " ".join("".join(image.itertext()).split())
    assert all(
        word in texts
        for label, _ in labels_and_texts(table)
        for word in label.split()
        if word.isalnum() and len(word) < 9
    )


def test_every_format_is_parsed_here():
    assert set(RENDERERS) == {"md", "latex", "csv", "json", "svg"}

"""Tables in LaTeX (packages booktabs and graphicx), for \\input in a paper of one or two columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mamlbench.report.formatting import printable
from mamlbench.report.render.cell_grid import cells, headings, label, notes
from mamlbench.report.table.table import Table, TableRow

_ESCAPES = {character: rf"\{character}" for character in "&%$#_{}"}
_ESCAPES |= {character: f"${character}$" for character in "<>|"}
_ESCAPES |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': "''"}
_ESCAPES |= {"[": "{[}", "*": "{*}"}  # behind a line's \\ they would be its arguments
_ESCAPES |= {"`": r"\textasciigrave{}", "\0": "{}"}
_ESCAPES |= {"±": r"$\pm$", "†": r"$\dagger$", "‡": r"$\ddagger$", "θ": r"$\theta$", "−": "$-$", "≠": r"$\neq$"}

MAX_LABEL_LENGTH = 24
"""If a label has more characters, the label column wraps at WRAPPED_LABELS."""
WRAPPED_LABELS = r"p{0.3\linewidth}"


def to_latex(tables: Sequence[Table]) -> str:
    """Write one ``table`` environment per group."""
    return "% needs \\usepackage{booktabs,graphicx}\n" + "\n".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    wrapped = max((len(label(row)) for row in table.rows), default=0) > MAX_LABEL_LENGTH
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_escape(table.title)}}}",
        rf"\label{{{_label(table)}}}",
        rf"\sbox0{{\begin{{tabular}}{{{WRAPPED_LABELS if wrapped else 'l'}{alignment}}}",
        r"\toprule",
        _line([_escape(text) for text in headings(table)]),
        r"\midrule",
        *(_wrapped(_row(row)) if wrapped else _row(row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\raggedright\scriptsize {_escape(' '.join(notes(table, 'Bold')))}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _label(table: Table) -> str:
    """A name for \\ref: data set and task, or the title's words."""
    conditions = table.conditions._asdict()
    task = f"{conditions['ways']}w{conditions['shots']}s" if {"ways", "shots"} <= conditions.keys() else ""
    text = f"{conditions['dataset']}-{task}" if task and "dataset" in conditions else table.title
    return "tab:" + "-".join(re.findall("[a-z0-9]+", text.lower()))[:60]


def _row(row: TableRow) -> str:
    is_best = [False, *(cell.best for cell in row.cells)]
    texts = [_escape(text) for text in cells(row)]
    return _line([rf"\textbf{{{text}}}" if best else text for text, best in zip(texts, is_best, strict=True)])


def _wrapped(row: str) -> str:
    """Let the label in the first cell break at spaces, and behind the underscores of an option's name."""
    label_, end, others = row.partition(" & ")
    return r"\raggedright " + label_.replace(r"\_", r"\_\allowbreak ") + end + others


def _line(parts: Sequence[str]) -> str:
    return " & ".join(parts) + r" \\"


def _escape(text: str) -> str:
    """Escape LaTeX's special characters. Other non-ASCII characters, which pdflatex may lack, become "?"."""
    apart = re.sub("-(?=-)", "-\0", printable(text))  # two hyphens would become a dash
    return "".join(_ESCAPES.get(character, character if character.isascii() else "?") for character in apart)

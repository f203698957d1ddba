"""Tables in LaTeX (package booktabs), for \\input in a paper."""

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
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    wrapped = max((len(label(row)) for row in table.rows), default=0) > MAX_LABEL_LENGTH
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_escape(table.title)}}}",
        rf"\begin{{tabular}}{{{WRAPPED_LABELS if wrapped else 'l'}{alignment}}}",
        r"\toprule",
        _line([_escape(text) for text in headings(table)]),
        r"\midrule",
        *((r"\raggedright " if wrapped else "") + _row(row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\scriptsize {_escape(' '.join(notes(table, 'Bold')))}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(row: TableRow) -> str:
    is_best = [False, *(cell.best for cell in row.cells)]
    texts = [_escape(text) for text in cells(row)]
    return _line([rf"\textbf{{{text}}}" if best else text for text, best in zip(texts, is_best, strict=True)])


def _line(parts: Sequence[str]) -> str:
    return " & ".join(parts) + r" \\"


def _escape(text: str) -> str:
    """Escape LaTeX's special characters. Other non-ASCII characters, which pdflatex may lack, become "?"."""
    apart = re.sub("-(?=-)", "-\0", printable(text))  # two hyphens would become a dash
    return "".join(_ESCAPES.get(character, character if character.isascii() else "?") for character in apart)

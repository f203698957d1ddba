"""Tables in LaTeX (package booktabs), to be put into a paper with \\input."""

from __future__ import annotations

from collections.abc import Sequence

from mamlbench.report.formatting import printable
from mamlbench.report.render.cell_grid import cells, headings, label, notes
from mamlbench.report.table.table import Table, TableRow

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "<": "$<$",
    ">": "$>$",
    "θ": r"$\theta$",
    "−": "$-$",
    "|": "$|$",
    '"': "''",
    "'": "'",
}


LONG = 24
"""Characters of a label above which labels are folded, into LABELS."""
LABELS = r"p{0.3\linewidth}"


def to_latex(tables: Sequence[Table]) -> str:
    """One ``table`` environment per group."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    folded = max((len(label(row)) for row in table.rows), default=0) > LONG
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_escape(table.title)}}}",
        rf"\begin{{tabular}}{{{LABELS if folded else 'l'}{alignment}}}",
        r"\toprule",
        _line([_escape(text) for text in headings(table)]),
        r"\midrule",
        *((r"\raggedright " if folded else "") + _row(row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\scriptsize {_escape(' '.join(notes(table, 'Bold')))}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(row: TableRow) -> str:
    best = [False, *(cell.best for cell in row.cells)]
    shown = [_escape(text) for text in cells(row)]
    return _line([rf"\textbf{{{text}}}" if strong else text for text, strong in zip(shown, best, strict=True)])


def _line(parts: Sequence[str]) -> str:
    return " & ".join(parts) + r" \\"


def _escape(text: str) -> str:
    """Every character that LaTeX takes for something else; what pdflatex's fonts lack becomes a question mark."""
    return "".join(_ESCAPES.get(each, each if each.isascii() else "?") for each in printable(text))

"""Reports on records: tables, figures, a page, verdicts. Nothing here trains or imports torch.

``statistics``: confidence intervals and significance tests. ``table``: columns and notes. ``render``: output formats,
LaTeX among them. ``figures`` and ``page``: images and HTML. ``gate``: the verdicts of ``mamlbench compare``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mamlbench.record import RunRecord
from mamlbench.report.dataframe import load_records
from mamlbench.report.loading import LoadedRecords, read_records
from mamlbench.report.table.table import Table, build_tables

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from mamlbench.report.notebook import Report

__all__ = ["LoadedRecords", "Table", "build_tables", "load_records", "print_table", "read_records"]


def print_table(records: Iterable[RunRecord], console: Console, *, brief: bool = False) -> None:
    """Print one comparison table for each group of comparable ``records``; brief ones fit the width in one piece."""
    from mamlbench.report.render.terminal import print_tables

    print_tables(build_tables(records), console, brief=brief)


class _CallableModule(ModuleType):
    """This package: it can be called, as ``mamlbench.report("results")``."""

    def __call__(
        self, source: str | Path | RunRecord | Sequence[str | Path | RunRecord] | pd.DataFrame = "results"
    ) -> Report:
        from mamlbench.report.notebook import report

        return report(source)


sys.modules[__name__].__class__ = _CallableModule

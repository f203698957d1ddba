"""A self-contained HTML page of the table that ``mamlbench transfer`` shows."""

from __future__ import annotations

from mamlbench.report.page import page_environment
from mamlbench.report.table.table import Table


def render_transfer_page(table: Table) -> str:
    """Render the page of one table; it loads nothing and runs no script."""
    from mamlbench import __version__

    return page_environment().get_template("transfer.html").render(table=table, version=__version__)

"""The notebook of the documentation runs, and shows what it showed when it was stored."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
MOST_BYTES = 600_000


def shown(notebook):
    """The kinds of output of each cell with code."""
    return [
        sorted({kind for output in cell.outputs for kind in output.get("data", {})})
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_it_is_stored_with_tables_and_figures_and_without_errors():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    kinds = [kind for cell in shown(notebook) for kind in cell]
    assert kinds.count("image/png") == 2 and kinds.count("text/html") >= 4
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", ()))
    assert NOTEBOOK.stat().st_size < MOST_BYTES


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own
def test_it_runs(tmp_path):
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    stored = shown(notebook)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert shown(notebook) == stored
    (progress, *_) = (cell for cell in notebook.cells if "mamlbench.run(" in cell.source)
    assert "30/30" in str(progress.outputs[0]["data"]["text/plain"])

"""The page's section across data sets."""

import re

import pytest

from mamlbench.errors import ExitCode
from mamlbench.report.across import collect_scores
from mamlbench.report.figures.style import STYLES
from mamlbench.report.page import render_page, sections


@pytest.fixture(autouse=True)
def no_figures_of_single_tables(monkeypatch):
    """They take longer than the rest."""
    monkeypatch.setattr(sections, "MAX_TABLES_WITH_FIGURES", 0)


def test_the_page_has_every_statistic_before_the_tables(study):
    records = study()
    page = render_page(records, across=collect_scores(records))
    section = page[page.index('<section id="across">') : page.index('<section id="table-1">')]
    assert "Across data sets: 4 methods on 8 cells" in section
    for title in (
        "Interquartile mean of",
        "Performance profile:",
        "Mean ranks (8",
        "Pairs of methods",
        "Bayesian signed",
    ):
        assert f"<h3>{title}" in section
    assert section.count("<figure ") == 5 and section.count("<table") == 6
    assert '<a href="#across">' in page and "#01020" not in section
    assert section in render_page(records, across=collect_scores(records))  # the same records give the same bytes


def test_a_page_of_few_cells_says_what_is_missing(study, across_cells):
    records = study(cells=across_cells[:2])
    page = render_page(records, across=collect_scores(records))
    section = page[page.index('<section id="across">') : page.index('<section id="table-1">')]
    assert section.count("<figure ") == 4 and section.count("<table") == 5  # no posterior
    assert "No posterior: that takes 5 or more cells" in section and "No test of ranks" in section


def test_methods_without_a_color_are_counted(study, across_cells):
    records = study(
        methods={f"m{index}": index / 100 for index in range(len(STYLES) + 2)}, cells=across_cells[:2], seeds=1
    )
    page = render_page(records, across=collect_scores(records))
    assert f"The performance profile shows the best {len(STYLES)} methods only." in page


def test_names_are_escaped(study, across_cells):
    nasty = "<script>alert(1)</script>"
    records = study(methods={nasty: 0.1, "maml": 0.0}, cells=across_cells[:5])
    page = render_page(records, across=collect_scores(records))
    assert "<script>" not in page and re.search(r"&lt;script&gt;alert\(1\)", page)


def test_the_command_writes_it_with_columns_of_the_other_tables(study, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index, record in enumerate(study()):
        (tmp_path / f"{index}.json").write_text(record.model_dump_json())
    arguments = ("--across", "--columns", "score", "--format", "html", "--output", "page.html")
    assert call("report", ".", *arguments)[0] == ExitCode.OK
    assert 'id="across"' in (tmp_path / "page.html").read_text()
    assert call("report", ".", "--format", "html", "--output", "plain.html")[0] == ExitCode.OK
    assert 'id="across"' not in (tmp_path / "plain.html").read_text()

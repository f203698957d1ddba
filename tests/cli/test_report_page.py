"""``mamlbench report``: the page and single figures, through the real command line."""

import pytest

from mamlbench.cli.commands import report
from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.report.figures import FIGURES


def test_the_names_of_figures_are_those_that_can_be_drawn():
    assert tuple(FIGURES) == report.FIGURES


@pytest.fixture
def recorded(tmp_path, monkeypatch, toy_plugin):
    """A project with one finished run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}"]\n')
    tiny = "--dataset toy --ways 3 --test-episodes 10 --validation-episodes 10 --meta-batch-size 2 --iterations 4 -q"
    assert main(["run", "--algo", "fomaml", *tiny.split(), "-o", "backbone.width=8"]) == ExitCode.OK
    return tmp_path


def test_a_run_becomes_a_page_and_figures(recorded, capsys):
    assert main(["report", "--format", "html", "--output", "page.html", "--columns", "all"]) == ExitCode.OK
    page = (recorded / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "toy, 3-way 1-shot" in page and page.count("<svg") == 8 + 1
    assert "<h1>Few-shot meta-learning, compared</h1>" in page
    assert main(["report", "--format", "html", "--output", "page.html", "--title", "A & B"]) == ExitCode.OK
    assert "<h1>A &amp; B</h1>" in (recorded / "page.html").read_text(encoding="utf-8")
    assert "Test episode 1" in page and "data:image/png;base64," in page and "examples seen" in page
    for format_, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        output = f"figure.{format_}"
        assert main(["report", "--figure", "curves", "--format", format_, "--output", output]) == ExitCode.OK
        assert (recorded / output).read_bytes().startswith(magic)
    assert "Written: figure.pdf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--figure", "time"], "--figure writes png, pdf, svg, not 'table'"),
        (["--format", "png"], "Add --figure with one of curves, pareto"),
        (["--format", "pdf", "--figure", "time"], "Name a file with --output"),
        (["--private"], "--private is for a page, and requires --format html"),
        (["--title", "Mine", "--format", "md"], "--title is for a page, and requires --format html"),
        (["--format", "png", "--figure", "nothing"], "'nothing' is not one of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_exclude_each_other_are_refused(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *arguments]) == ExitCode.USAGE
    assert message in " ".join(capsys.readouterr().err.split())

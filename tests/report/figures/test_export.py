"""Figures as files."""

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from mamlbench.errors import ConfigError
from mamlbench.report.figures.export import MAX_GROUPS, inline_svg, save_figure
from mamlbench.report.figures.panels import FIGURES
from mamlbench.report.figures.style import STYLES
from mamlbench.report.figures.view import view_of
from mamlbench.report.table.groups import group_records

NASTY = '<script>alert("$\\frac{x$")</script>&amp;\u202e</svg>'
PANELS = [(name, panel) for name, panels in FIGURES.items() for panel in panels]


@pytest.fixture
def group(make_run):
    runs = [
        make_run(name, score=score, seed=seed, speed=speed)
        for name, score, speed in (("maml", 0.93, 1), ("reptile", 0.77, 2), (NASTY, 0.5, 3))
        for seed in (0, 1)
    ]
    (group,) = group_records([*runs, make_run("pretrain", status="interrupted")])
    return group


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}: {panel.title}" for name, panel in PANELS])
def test_every_panel_is_an_svg_for_a_page(group, name, panel):
    svg = inline_svg(panel, view_of(group))
    tree = ElementTree.fromstring(svg.replace("xlink:", ""))
    assert tree.get("role") == "img" and tree.get("viewBox") and not tree.get("width")
    drawn = [element.get("style", "") for element in tree.iter() if element.tag.endswith(("path", "use"))]
    colors = {style.color.lower() for style in STYLES[:3]} if name != "time" else {"#0072b2", "url(#"}
    assert all(any(color in style.lower() for style in drawn) for color in colors)
    assert "<script" not in svg and "<style" not in svg and ' id="axes' not in svg and "#01020" not in svg
    assert "currentColor" in svg and len(svg) < 60_000
    assert svg == inline_svg(panel, view_of(group))  # the same records give the same bytes


def test_a_run_without_scores_has_no_figures_of_them(make_record):
    (group,) = group_records([make_record(status="failed")])
    shown = {name for name, panel in PANELS if inline_svg(panel, view_of(group))}
    assert shown == {"time"}
    with pytest.raises(ConfigError, match="None of these records has data for the figure 'curves'"):
        save_figure("curves", [group], "png")


@pytest.mark.parametrize("name", FIGURES)
def test_single_figures_are_images(group, name):
    with Image.open(io.BytesIO(save_figure(name, [group, group], "png"))) as image:
        assert min(image.size) > 600 and len(image.convert("RGB").getcolors(2**24)) > 50
    assert save_figure(name, [group], "pdf").startswith(b"%PDF-")


def test_too_many_tables_for_one_figure_are_an_error(group):
    with pytest.raises(ConfigError, match="Name the records of at most"):
        save_figure("time", [group] * (MAX_GROUPS + 1), "png")
